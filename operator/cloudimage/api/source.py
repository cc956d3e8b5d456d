"""Where an image's bytes come from."""

from pydantic import Field

from cloudimage.api.meta import ApiModel, rules
from cloudimage.api.sources.glance import GlanceSource
from cloudimage.api.sources.http import HttpSource
from cloudimage.api.sources.server import ServerSource
from cloudimage.api.sources.volume import VolumeSource

_KINDS = ("http", "glance", "server", "volume")
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
    server: ServerSource | None = Field(default=None, description="A snapshot of a server.")
    volume: VolumeSource | None = Field(
        default=None, description="A volume, or a snapshot of one, which Cinder uploads to Glance."
    )
