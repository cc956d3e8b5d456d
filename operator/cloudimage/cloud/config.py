"""clouds.yaml out of a Secret: written by the user, so taken with care."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cloudimage.access import clouds_yaml
from cloudimage.cloud.errors import CloudNotFoundError, InvalidCloudsYamlError


@dataclass(frozen=True, slots=True)
class Origin:
    """Where credentials come from.

    Attributes:
        version: Of the Secret: another one may hold other credentials.
        cloud: Name of the entry in its clouds.yaml.
    """

    namespace: str
    secret: str
    version: str
    cloud: str

    @property
    def secret_uid(self) -> str:
        """UID of the Secret, with which its version begins."""
        return self.version.partition("/")[0]


@dataclass(frozen=True)
class CloudConfig:
    """How to reach one cloud; it holds secrets, hence no repr.

    Attributes:
        options: The entry, of which only what :mod:`cloudimage.access.entry` allows is used.
        ca_certificate: PEM text that the cloud's TLS is verified with.
        origin: Where it was read; None: connections by it are not kept.
    """

    options: Mapping[str, Any] = field(repr=False)
    ca_certificate: str | None = field(default=None, repr=False)
    origin: Origin | None = None


def parse_clouds_yaml(text: str, cloud: str, ca_certificate: str | None = None) -> CloudConfig:
    """Return the configuration of ``cloud``, with nothing in it but what is allowed.

    Raises:
        InvalidCloudsYamlError: It is no clouds.yaml, too large, or an entry is not allowed.
        CloudNotFoundError: It has no such cloud.
    """
    try:
        return CloudConfig(clouds_yaml.entry_of(text, cloud, ca_certificate), ca_certificate)
    except clouds_yaml.NoSuchCloudError as error:
        raise CloudNotFoundError(str(error)) from None
    except clouds_yaml.CloudsYamlError as error:
        raise InvalidCloudsYamlError(str(error)) from None
