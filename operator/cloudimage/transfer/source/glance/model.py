"""An image of a Glance, as a transfer's request has it."""

from typing import Final, Literal, Self

from pydantic import Field

from cloudimage.access.clouds_yaml import CA_CERTIFICATE, CLOUDS_YAML
from cloudimage.transfer.contract import Source, Texts

SOURCE_CLOUD: Final = "source-cloud"
"""Name of the reference to the Secret with the source cloud's clouds.yaml."""


class CloudSource(Source):
    """Something in a cloud.

    Attributes:
        cloud_name: The entry of ``clouds_yaml``; None: it is in the cloud of the transfer.
        clouds_yaml: What the Secret of the source cloud says; empty: it has no such key.
        ca_certificate: PEM text that the source cloud's TLS is verified with.
    """

    cloud_name: str | None = None
    clouds_yaml: str = Field(default="", repr=False)
    ca_certificate: str | None = Field(default=None, repr=False)

    def with_texts(self, texts: Texts) -> Self:
        """Return the source with its credentials, which are first checked in a transfer."""
        secret = texts.get(SOURCE_CLOUD, {})
        return self._with(secret.get(CLOUDS_YAML, ""), secret.get(CA_CERTIFICATE))

    def without_texts(self) -> Self:
        """Return the source without them."""
        return self._with("", None)

    def _with(self, clouds_yaml: str, ca_certificate: str | None) -> Self:
        update = {"clouds_yaml": clouds_yaml, "ca_certificate": ca_certificate}
        return self.model_copy(update=update)


class GlanceSource(CloudSource):
    """An image of a Glance.

    Attributes:
        id: Of the image.
    """

    type: Literal["glance"] = "glance"
    id: str
