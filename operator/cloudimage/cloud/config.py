"""clouds.yaml out of a Secret: written by the user, so taken with care."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from cloudimage.cloud.errors import CloudNotFoundError, InvalidCloudsYamlError

_SECRET_OF_AUTH_TYPE = {
    "password": "password",
    "v3password": "password",
    "token": "token",
    "v3token": "token",
    "v3applicationcredential": "application_credential_secret",
}
"""Ways to log in that need nothing but what clouds.yaml itself holds, and what each needs."""

_FORBIDDEN_KEYS = {
    "cacert": "put the certificate itself into the Secret, under the key cacert",
    "cert": "client certificates from files of the operator are not allowed",
    "key": "client certificates from files of the operator are not allowed",
    "profile": "vendor profiles are fetched from elsewhere; write auth_url and the rest out",
    "cloud": "vendor profiles are fetched from elsewhere; write auth_url and the rest out",
}
"""Keys by which clouds.yaml would reach into the operator's own files or to other servers."""


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
        options: Keyword arguments of ``openstack.connect``.
        ca_certificate: PEM text that the cloud's TLS is verified with.
        origin: Where it was read; None: connections by it are not kept.
    """

    options: Mapping[str, Any] = field(repr=False)
    ca_certificate: str | None = field(default=None, repr=False)
    origin: Origin | None = None


def parse_clouds_yaml(text: str, cloud: str, ca_certificate: str | None = None) -> CloudConfig:
    """Return the configuration of ``cloud``.

    Raises:
        InvalidCloudsYamlError: It is no clouds.yaml, or an entry is not allowed.
        CloudNotFoundError: It has no such cloud.
    """
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        # The parser's own message would quote the line, and with it perhaps a password.
        mark = getattr(error, "problem_mark", None)
        where = f" near line {mark.line + 1}" if mark else ""
        raise InvalidCloudsYamlError(f"clouds.yaml is not valid YAML{where}") from None
    clouds = document.get("clouds") if isinstance(document, dict) else None
    if not isinstance(clouds, dict):
        raise InvalidCloudsYamlError("clouds.yaml has no mapping named clouds")
    if cloud not in clouds:
        known = ", ".join(sorted(str(name) for name in clouds)) or "none"
        raise CloudNotFoundError(f"clouds.yaml has no cloud {cloud!r}; it has: {known}")
    return CloudConfig(_checked(clouds[cloud], cloud), ca_certificate)


def _checked(entry: object, cloud: str) -> Mapping[str, Any]:
    if not isinstance(entry, dict) or not isinstance(entry.get("auth"), dict):
        raise InvalidCloudsYamlError(f"cloud {cloud!r} has no mapping named auth")
    for key, advice in _FORBIDDEN_KEYS.items():
        if key in entry:
            raise InvalidCloudsYamlError(f"cloud {cloud!r} sets {key}: {advice}")
    auth_type = entry.get("auth_type", "password")
    if auth_type not in _SECRET_OF_AUTH_TYPE:
        allowed = ", ".join(sorted(_SECRET_OF_AUTH_TYPE))
        raise InvalidCloudsYamlError(
            f"cloud {cloud!r} has an auth_type that is not allowed; allowed are {allowed}"
        )
    for key in ("auth_url", _SECRET_OF_AUTH_TYPE[auth_type]):
        if not isinstance(entry["auth"].get(key), str):
            raise InvalidCloudsYamlError(f"cloud {cloud!r} has no text at auth.{key}")
    return entry
