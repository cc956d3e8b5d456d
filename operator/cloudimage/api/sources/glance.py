"""spec.source.glance: an image of another project, region or cloud."""

from pydantic import Field

from cloudimage.api.image import ImageName
from cloudimage.api.meta import ApiModel, rules
from cloudimage.api.references import CloudCredentialsRef, GlanceImageId, ImageFilter


class GlanceSource(
    ApiModel,
    json_schema_extra=rules(
        (
            "[has(self.id), has(self.name), has(self.filter)].exists_one(x, x)",
            "give exactly one of id, name and filter",
        )
    ),
):
    """An image of another project, region or cloud; or of this one."""

    cloud_credentials_ref: CloudCredentialsRef | None = Field(
        default=None,
        description="The cloud that has the image. If omitted, spec.cloudCredentialsRef. The "
        "Secret is needed only while an image is made.",
    )
    id: GlanceImageId | None = Field(
        default=None,
        description="The image's id in Glance. Its bytes never change, so that it alone decides "
        "whether a new image is made: other credentials for the same id make none.",
    )
    name: ImageName | None = Field(
        default=None,
        description="The image's name in Glance: exactly one active image must have it. It is "
        "looked up at each resync, and another image of that name is a new revision here.",
    )
    filter: ImageFilter | None = Field(
        default=None,
        description="Selects the image, as name does. Hidden images are ignored, as are other "
        "projects' community images unless visibility community or their owner is given.",
    )
    copy_metadata: bool = Field(
        default=False,
        description="Copy the image's properties, tags, min_disk, min_ram and container_format as "
        "well, once, when the image is made from it; fields of spec.image win. Properties that "
        "name things of the source's cloud, or belong to an owner or a server, are left out: "
        "status.copiedMetadata and the condition Synced name them.",
    )
