"""What an entry of clouds.yaml may say: a list of what is allowed, with types. Pure.

openstacksdk reads about a hundred options and formats each text with the others; some of them
import code (``vendor_hook``), open files, or ask other servers. Only what is listed here reaches
it, by :mod:`cloudimage.access.region`, which goes around its loader. The options:
https://docs.openstack.org/openstacksdk/latest/user/config/configuration.html
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import os_service_types

from cloudimage.access.yamltext import Unquoted

_USER: Final = frozenset({"username", "user_id", "user_domain_id", "user_domain_name"})
_SCOPE: Final = frozenset(
    {
        "project_id",
        "project_name",
        "project_domain_id",
        "project_domain_name",
        "domain_id",
        "domain_name",
        "system_scope",
        "trust_id",
    }
)
_DEFAULT_DOMAIN: Final = frozenset({"default_domain_id", "default_domain_name"})
_APPLICATION: Final = frozenset({"application_credential_id", "application_credential_name"})

SECRET_OF: Final = {
    "password": "password",
    "v3password": "password",
    "token": "token",
    "v3token": "token",
    "v3applicationcredential": "application_credential_secret",
}
"""The ways to log in that need nothing but what clouds.yaml itself holds, and what each needs."""

AUTH_KEYS: Final[Mapping[str, frozenset[str]]] = {
    "password": _USER | _SCOPE | _DEFAULT_DOMAIN,
    "v3password": _USER | _SCOPE,
    "token": _SCOPE | _DEFAULT_DOMAIN,
    "v3token": _SCOPE,
    "v3applicationcredential": _USER | _APPLICATION,
}
"""What may stand below ``auth``, besides ``auth_url`` and the secret."""

MAX_CA_BYTES: Final = 512 * 2**10
"""Of a cloud's CA certificates; all public authorities together take half of it."""

_ADVICE: Final = {
    "cacert": "put the certificate itself into the Secret, under the key cacert",
    "cert": "client certificates from files of the operator are not allowed",
    "key": "client certificates from files of the operator are not allowed",
    "profile": "vendor profiles are fetched from elsewhere; write out auth_url and the other "
    "options",
    "cloud": "vendor profiles are fetched from elsewhere; write out auth_url and the other options",
    "regions": "name the one region with region_name",
    "insecure": "write verify: false",
    "endpoint_type": "write interface",
    "auth.tenant_id": "write project_id",
    "auth.tenant_name": "write project_name",
}
_ALLOWED: Final = (
    "auth, auth_type, interface, region_name, verify, and for a service, as in "
    "image_endpoint_override: api_version, endpoint_override, interface, region_name, "
    "service_name, service_type"
)

_INTERFACES: Final = frozenset(
    {"public", "internal", "admin", "publicURL", "internalURL", "adminURL"}
)
_VERSION: Final = re.compile(r"[0-9]{1,3}(\.[0-9]{1,4})?")
_TOKEN: Final = re.compile(r"[\x21-\x7e]+")
_PERCENT: Final = re.compile(r"%(?!\((project|user)_id\)s|[0-9A-Fa-f]{2})")
_MAX_NAME: Final = 255
_MAX_URL: Final = 2048
_MAX_SECRET: Final = 16 * 2**10


class EntryRefusedError(ValueError):
    """The entry says what is not allowed, or not enough; the message holds no value of it."""


def check(entry: object, cloud: str) -> dict[str, Any]:
    """Return the entry with nothing in it but what is allowed, each value of its type.

    Args:
        entry: What clouds.yaml has for the cloud.
        cloud: Its name, for messages.

    Raises:
        EntryRefusedError: Something is not allowed, missing, or of another type.
    """
    name = shown(cloud)
    if not isinstance(entry, Mapping) or not isinstance(entry.get("auth"), Mapping):
        raise EntryRefusedError(f"cloud {name!r} has no mapping named auth")
    for key in entry:
        if _checker(key) is None:
            raise _refusal(name, str(key), _ADVICE.get(str(key), f"allowed are {_ALLOWED}"))
    auth_type = entry.get("auth_type", "password")
    if not isinstance(auth_type, str) or auth_type not in SECRET_OF:
        allowed = ", ".join(sorted(SECRET_OF))
        raise EntryRefusedError(
            f"cloud {name!r} has an auth_type that is not allowed; allowed are {allowed}"
        )
    checked: dict[str, Any] = {"auth": _auth(entry["auth"], auth_type, name)}
    for key, value in entry.items():
        checker = _checker(key)
        if key not in checked and checker is not None and value is not None:
            checked[key] = _typed(checker, value, key, name)
    return checked


def _auth(auth: Mapping[Any, object], auth_type: str, name: str) -> dict[str, str]:
    secret = SECRET_OF[auth_type]
    for key in ("auth_url", secret):
        if auth.get(key) is None:
            raise EntryRefusedError(f"cloud {name!r} has no text in auth.{key}")
    allowed = AUTH_KEYS[auth_type] | {"auth_url", secret}
    checked: dict[str, str] = {}
    for key, value in auth.items():
        path = f"auth.{key}"
        if key not in allowed:
            what = f"with auth_type {auth_type} these are allowed: {', '.join(sorted(allowed))}"
            raise _refusal(name, path, _ADVICE.get(path, what))
        if value is not None:
            checker = _url if key == "auth_url" else _token if key == "token" else _secret
            checked[key] = _typed(checker, value, path, name)
    return _same_domain(checked)


def _same_domain(auth: dict[str, str]) -> dict[str, str]:
    """Let a domain beside a project be that of user and project, as openstacksdk's loader does."""
    if not auth.keys() & {"project_id", "project_name"}:
        return auth
    for end in ("id", "name"):
        domain = auth.pop(f"domain_{end}", None)
        if domain is not None:
            for whose in ("user", "project"):
                auth.setdefault(f"{whose}_domain_{end}", domain)
    return auth


Checker = Callable[[Any], str | bool | None]
"""Returns the value in its type; None when it is not of that type."""


def _checker(key: object) -> Checker | None:
    """Return what a key of an entry must be; None for a key that is not allowed."""
    if not isinstance(key, str):
        return None
    if key in _OF_CLOUD:
        return _OF_CLOUD[key]
    for end, checker in _OF_SERVICE.items():
        service = key.removesuffix(f"_{end}")
        if service != key and service in _SERVICES:
            return checker
    return None


def _typed(checker: Checker, value: object, path: str, name: str) -> Any:  # noqa: ANN401  # by checker
    wrong = None
    if checker is not _version and checker is not _boolean:
        if isinstance(value, bool):
            wrong = "YAML reads it as true or false, not as text; put it in quotes"
        elif isinstance(value, int | float):
            wrong = "YAML reads it as a number, not as text; put it in quotes"
        elif isinstance(value, Unquoted):
            wrong = f"YAML reads it as a {value.kind}, not as text; put it in quotes"
    found = None if wrong else checker(value)
    if found is None:
        raise _refusal(name, path, wrong or _FORMS[checker])
    return found


def _refusal(name: str, path: str, why: str) -> EntryRefusedError:
    return EntryRefusedError(f"cloud {name!r} sets {shown(path)}: {why}")


def shown(name: object, length: int = 60) -> str:
    """Return a name out of the file as a message may have it: short, printable."""
    text = str(name)
    cut = text if len(text) <= length else f"{text[:length]}..."
    return "".join(each if each.isprintable() else "?" for each in cut)


def _known(value: object) -> Any:  # noqa: ANN401  # as it is
    """Return what was looked at before all else: ``auth`` and ``auth_type``."""
    return value


def _name(value: object) -> str | None:
    fits = isinstance(value, str) and 0 < len(value) <= _MAX_NAME and value.isprintable()
    return str(value) if fits and not set("{}") & set(str(value)) else None


def _secret(value: object) -> str | None:
    """Passwords and names below auth: any text, braces too, since nothing formats them."""
    return value if isinstance(value, str) and 0 < len(value) <= _MAX_SECRET else None


def _token(value: object) -> str | None:
    text = _secret(value)
    return text if text is not None and _TOKEN.fullmatch(text) else None


def _interface(value: object) -> str | None:
    return value if isinstance(value, str) and value in _INTERFACES else None


def _version(value: object) -> str | None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    text = str(value) if number or isinstance(value, str) else ""
    return text if _VERSION.fullmatch(text) else None


def _boolean(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _url(value: object) -> str | None:
    if not isinstance(value, str) or not value.isprintable() or len(value) > _MAX_URL:
        return None
    try:
        parts = urlsplit(value)
        fits = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        return None
    return value if fits and "@" not in parts.netloc and not set(" {}\\#") & set(value) else None


def _endpoint(value: object) -> str | None:
    url = _url(value)
    return url if url is not None and not _PERCENT.search(url) else None


_SERVICES: Final = frozenset(
    each.replace("-", "_")
    for service in os_service_types.ServiceTypes().services
    for each in (service["service_type"], *service.get("aliases", ()))
)
_OF_CLOUD: Final[Mapping[str, Checker]] = {
    "auth": _known,
    "auth_type": _known,
    "interface": _interface,
    "region_name": _name,
    "verify": _boolean,
}
_OF_SERVICE: Final[Mapping[str, Checker]] = {
    "api_version": _version,
    "endpoint_override": _endpoint,
    "interface": _interface,
    "region_name": _name,
    "service_name": _name,
    "service_type": _name,
}
_FORMS: Final[Mapping[Checker, str]] = {
    _name: f"must be a text of at most {_MAX_NAME} characters, without braces",
    _secret: f"must be a text of at most {_MAX_SECRET} characters",
    _token: "must be a token: letters, digits and punctuation, without spaces",
    _interface: "must be public, internal or admin",
    _version: "must be a version, such as 3 or 2.1",
    _boolean: "must be true or false",
    _url: "must be a URL with http:// or https://, without a user, braces or spaces",
    _endpoint: "must be a URL with http:// or https://, without a user, braces or spaces; of "
    "formats only %(project_id)s and %(user_id)s are allowed",
}
