"""What a spec refers to in a cloud: the cloud itself, and images that are there already."""

from typing import Annotated

from pydantic import Field, StringConstraints

from cloudimage.api.image import ImageName, Tag
from cloudimage.api.meta import ApiModel, Like, SecretName, rules
from cloudimage.vocabulary.image import Visibility

_UUID = Like(
    "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}",
    "must be the id of an image, for example 0b1c2d3e-4f5a-4697-8879-6a5b4c3d2e1f",
)
GlanceImageId = Annotated[str, StringConstraints(max_length=36), _UUID]


class CloudCredentialsRef(ApiModel):
    """The cloud to use, and where its credentials are."""

    secret_name: SecretName = Field(
        description="Secret in the same namespace with the key clouds.yaml and, where the cloud's "
        "TLS certificate needs it, the key cacert (PEM)."
    )
    cloud_name: Annotated[str, StringConstraints(min_length=1, max_length=256)] = Field(
        description="The cloud in clouds.yaml to use."
    )


class ImageFilter(
    ApiModel,
    json_schema_extra=rules(
        (
            "has(self.name) || has(self.visibility) || has(self.owner) || has(self.tags)",
            "give at least one of name, visibility, owner and tags",
        )
    ),
):
    """Selects exactly one existing image; it must match every field that is given."""

    name: ImageName | None = Field(default=None, description="The image's name in Glance.")
    visibility: Visibility | None = Field(default=None, description="Its visibility.")
    owner: Annotated[str, StringConstraints(min_length=1, max_length=255)] | None = Field(
        default=None, description="Id of the project that owns the image."
    )
    tags: Annotated[frozenset[Tag], Field(min_length=1, max_length=128)] | None = Field(
        default=None, description="Tags that the image has; it may have others as well."
    )
