"""Where an image's bytes come from."""

from pydantic import Field

from cloudimage.api.meta import ApiModel, rules
from cloudimage.api.sources.claim import PersistentVolumeClaimSource
from cloudimage.api.sources.glance import GlanceSource
from cloudimage.api.sources.http import HttpSource
from cloudimage.api.sources.oci import OciSource
from cloudimage.api.sources.s3 import S3Source
from cloudimage.api.sources.server import ServerSource
from cloudimage.api.sources.swift import SwiftSource
from cloudimage.api.sources.upload import UploadSource
from cloudimage.api.sources.volume import VolumeSource

_KINDS = (
    *("http", "glance", "server", "volume", "oci", "s3", "swift"),
    *("persistentVolumeClaim", "upload"),
)
_MEMBERS = ", ".join(f"has(self.{kind})" for kind in _KINDS)


class Source(
    ApiModel,
    json_schema_extra=rules(
        (
            f"[{_MEMBERS}].exists_one(x, x)",
            "set exactly one source, for example http",
        )
    ),
):
    """Where the bytes come from: exactly one member."""

    http: HttpSource | None = Field(default=None, description="A file behind a URL.")
    glance: GlanceSource | None = Field(
        default=None,
        description="An image of another project, region or cloud. It is verified by the hash "
        "that its Glance has.",
    )
    s3: S3Source | None = Field(
        default=None, description="An object of a bucket, in Amazon S3 or a store like it."
    )
    swift: SwiftSource | None = Field(
        default=None, description="An object of a container of OpenStack's Swift."
    )
    oci: OciSource | None = Field(
        default=None,
        description="A disk in an image of a container registry: a KubeVirt containerDisk, or an "
        "artifact of ORAS. It is verified by the digests of its manifest.",
    )
    upload: UploadSource | None = Field(
        default=None,
        description="A file that a person uploads: kubectl cloudimage upload FILE --name NAME.",
    )
    persistent_volume_claim: PersistentVolumeClaimSource | None = Field(
        default=None,
        description="A file in a volume of this namespace, read by a Job whatever the runner; the "
        "operator's administrator must allow that.",
    )
    server: ServerSource | None = Field(default=None, description="A snapshot of a server.")
    volume: VolumeSource | None = Field(
        default=None, description="A volume, or a snapshot of one, which Cinder uploads to Glance."
    )
