"""An entry of a clouds.yaml that a user wrote: taken with care, for whoever logs in by it."""

import ssl
from typing import Any, Final

from cloudimage.access import entry, yamltext

CLOUDS_YAML: Final = "clouds.yaml"
CA_CERTIFICATE: Final = "cacert"
"""Keys of a Secret with credentials."""

_MOST_NAMED: Final = 20


class CloudsYamlError(ValueError):
    """It cannot be read, or asks for what must not be done; the message holds no secret."""


class NoSuchCloudError(CloudsYamlError):
    """It has no such cloud."""


def entry_of(text: str, cloud: str, ca_certificate: str | None = None) -> dict[str, Any]:
    """Return the entry of ``cloud``, with nothing in it but what is allowed.

    Args:
        text: A clouds.yaml.
        cloud: Name of the entry.
        ca_certificate: What TLS is verified with, which is checked too.

    Raises:
        CloudsYamlError: It is no clouds.yaml, too large, or an entry is not allowed.
        NoSuchCloudError: It has no such cloud.
    """
    if ca_certificate is not None and len(ca_certificate) > entry.MAX_CA_BYTES:
        raise CloudsYamlError(
            f"the key cacert of the Secret is larger than {entry.MAX_CA_BYTES // 2**10} KiB"
        )
    if ca_certificate is not None and not _has_certificate(ca_certificate):
        raise CloudsYamlError(
            "the key cacert of the Secret has no certificate in the form of PEM, which begins with "
            "-----BEGIN CERTIFICATE-----"
        )
    try:
        document = yamltext.load(text)
    except yamltext.YamlRefusedError as error:
        raise CloudsYamlError(f"clouds.yaml {error}") from None
    clouds = document.get("clouds") if isinstance(document, dict) else None
    if not isinstance(document, dict) or not isinstance(clouds, dict):
        raise CloudsYamlError("clouds.yaml has no mapping named clouds")
    if strange := [entry.shown(each) for each in document if each != "clouds"]:
        raise CloudsYamlError(
            f"clouds.yaml has the section {strange[0]!r}; in a Secret only clouds is allowed"
        )
    if cloud not in clouds:
        names = sorted(entry.shown(name) for name in clouds)
        known = ", ".join(names[:_MOST_NAMED]) or "none"
        more = f" and {len(names) - _MOST_NAMED} more" if names[_MOST_NAMED:] else ""
        raise NoSuchCloudError(f"clouds.yaml has no cloud {cloud!r}; it has: {known}{more}")
    try:
        return entry.check(clouds[cloud], cloud)
    except entry.EntryRefusedError as error:
        raise CloudsYamlError(str(error)) from None


def _has_certificate(pem: str) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem)
    except (ssl.SSLError, ValueError):
        return False
    return True
