"""clouds.yaml out of a Secret: written by the user, so taken with care."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from cloudimage.access import entry, yamltext
from cloudimage.cloud.errors import CloudNotFoundError, InvalidCloudsYamlError

_MOST_NAMED: Final = 20


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
    if ca_certificate is not None and len(ca_certificate) > entry.MAX_CA_BYTES:
        raise InvalidCloudsYamlError(
            f"the key cacert of the Secret is larger than {entry.MAX_CA_BYTES // 2**10} KiB"
        )
    if ca_certificate is not None and not _has_certificate(ca_certificate):
        raise InvalidCloudsYamlError(
            "the key cacert of the Secret has no certificate in the form of PEM, which begins with "
            "-----BEGIN CERTIFICATE-----"
        )
    try:
        document = yamltext.load(text)
    except yamltext.YamlRefusedError as error:
        raise InvalidCloudsYamlError(f"clouds.yaml {error}") from None
    clouds = document.get("clouds") if isinstance(document, dict) else None
    if not isinstance(document, dict) or not isinstance(clouds, dict):
        raise InvalidCloudsYamlError("clouds.yaml has no mapping named clouds")
    if strange := [entry.shown(each) for each in document if each != "clouds"]:
        raise InvalidCloudsYamlError(
            f"clouds.yaml has the section {strange[0]!r}; in a Secret only clouds is allowed"
        )
    if cloud not in clouds:
        names = sorted(entry.shown(name) for name in clouds)
        known = ", ".join(names[:_MOST_NAMED]) or "none"
        more = f" and {len(names) - _MOST_NAMED} more" if names[_MOST_NAMED:] else ""
        raise CloudNotFoundError(f"clouds.yaml has no cloud {cloud!r}; it has: {known}{more}")
    try:
        return CloudConfig(entry.check(clouds[cloud], cloud), ca_certificate)
    except entry.EntryRefusedError as error:
        raise InvalidCloudsYamlError(str(error)) from None


def _has_certificate(pem: str) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem)
    except (ssl.SSLError, ValueError):
        return False
    return True
