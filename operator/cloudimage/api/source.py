"""Where an image's bytes come from."""

from pydantic import Field

from cloudimage.api.meta import ApiModel, rules
from cloudimage.api.sources.claim import PersistentVolumeClaimSource
from cloudimage.api.sources.glance import GlanceSource
from cloudimage.api.sources.http import HttpSource
from cloudimage.api.sources.upload import UploadSource

_KINDS = ("http", "glance", "upload", "persistentVolumeClaim")
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
    upload: UploadSource | None = Field(
        default=None,
        description="A file that a person uploads: kubectl cloudimage upload FILE --name NAME.",
    )
    persistent_volume_claim: PersistentVolumeClaimSource | None = Field(
        default=None,
        description="A file in a volume of this namespace, read by a Job whatever the runner; the "
        "operator's administrator must allow that.",
    )
