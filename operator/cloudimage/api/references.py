"""What a spec refers to: a cloud, an image that is there already, a text of the namespace."""

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


Url = Annotated[
    str,
    StringConstraints(max_length=2048),
    Like(
        r"https?://[^\s/@]+(/\S*)?",
        "must be a URL that begins with http:// or https://, has a host, and has neither blanks "
        "nor a user and password",
    ),
]
ObjectKey = Annotated[
    str,
    StringConstraints(min_length=1, max_length=253),
    Like("[-._a-zA-Z0-9]+", "must consist of letters, digits, hyphens, underscores and dots"),
]


class KeyReference(ApiModel):
    """One key of a Secret or ConfigMap of the same namespace."""

    name: SecretName = Field(description="Name of the Secret or ConfigMap.")
    key: ObjectKey = Field(description="Key in the Secret or ConfigMap.")


class TextReference(
    ApiModel,
    json_schema_extra=rules(
        (
            "[has(self.secret), has(self.configMap)].exists_one(x, x)",
            "name either a secret or a configMap",
        )
    ),
):
    """A text in a Secret or a ConfigMap: exactly one of them."""

    secret: KeyReference | None = Field(default=None, description="A key of a Secret.")
    config_map: KeyReference | None = Field(default=None, description="A key of a ConfigMap.")
