"""spec.publish: where consumers read which image is the current one."""

from typing import Annotated

from pydantic import Field, StringConstraints

from cloudimage.api.meta import ApiModel, Like, SecretName, rules

ConfigMapKey = Annotated[
    str,
    StringConstraints(min_length=1, max_length=253),
    Like("[-._a-zA-Z0-9]+", "must be of letters, digits, dots, dashes and underscores"),
]


class PublishedConfigMap(
    ApiModel,
    json_schema_extra=rules(
        (
            "!has(self.versionKey) || self.versionKey != self.key",
            "key and versionKey must differ",
        ),
    ),
):
    """Keys of a ConfigMap."""

    name: SecretName = Field(description="Its name, in the namespace of this object.")
    key: ConfigMapKey = Field(description="The key that holds the id of the image in Glance.")
    version_key: ConfigMapKey | None = Field(
        default=None,
        description="The key that holds the source's version of the image; it is left out while "
        "that is not known. If omitted, the version is not published.",
    )


class Publish(ApiModel):
    """Where consumers read which image is the current one."""

    config_map: PublishedConfigMap = Field(
        description="Keys of a ConfigMap that are kept up to date. It is created if it does not "
        "exist; a key that somebody else has set is never overwritten. The operator needs the "
        "right to write ConfigMaps: the chart's value publish.enabled."
    )


class PublishedStatus(ApiModel):
    """What was published. It is written before the ConfigMap is, so that a removal finds it."""

    config_map: SecretName = Field(description="The ConfigMap's name.")
