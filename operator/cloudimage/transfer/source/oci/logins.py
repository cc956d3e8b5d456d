"""What a pull Secret has for a registry, and what a registry asks for; pure."""

import base64
import binascii
import re
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final
from urllib.parse import urlencode, urlsplit

from pydantic import BaseModel, ValidationError

from cloudimage.plaintext import plain
from cloudimage.transfer.contract import Reason, TransferError
from cloudimage.transfer.source.http.rules import checked_url, redacted
from cloudimage.transfer.source.oci.model import DOCKER_CONFIG
from cloudimage.vocabulary.oci import ImageName, spellings

_PATHS_OF_VERSIONS: Final = ("v1", "v2")
_MOST_CHALLENGE: Final = 8192
"""Characters of WWW-Authenticate that are looked at."""

_WORDS: Final = re.compile(
    r'(?P<name>[\w-]+)[ \t]*=[ \t]*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^\s,"]+))'
    r"|(?P<scheme>[A-Za-z][\w-]*)"
)
_TOKEN: Final = re.compile(r"[\x21-\x7e]{1,65536}")


@dataclass(frozen=True)
class Login:
    """What a registry wants to see.

    Attributes:
        refresh_token: Is exchanged for tokens, by OAuth 2 (``identitytoken``).
        bearer: A token that is shown as it is (``registrytoken``).
    """

    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)
    bearer: str = field(default="", repr=False)


class _Entry(BaseModel):
    auth: str = ""
    username: str = ""
    password: str = ""
    identitytoken: str = ""
    registrytoken: str = ""


class _Config(BaseModel):
    auths: dict[str, _Entry]


def login(config: str, name: ImageName, *, readable: bool = False) -> Login | None:
    """Return the credentials for an image's registry; None: the Secret has none for it.

    The most specific key counts. Keys are hosts with ports, as patterns or with a path or a scheme
    too: https://kubernetes.io/docs/concepts/containers/images/#config-json

    Args:
        config: What the Secret says, as ``~/.docker/config.json``.
        name: The image.
        readable: Whether anybody on the way can read what is sent: then the Secret must say that
            this is meant, by a key that begins with ``http://``.

    Raises:
        TransferError: ``InvalidCredentials``; its message has no secret.
    """
    try:
        auths = _Config.model_validate_json(config).auths
    except ValidationError as error:
        raise _invalid("is not a JSON object with auths, as docker login writes it") from error
    meant = [key for key in auths if not readable or key.startswith("http://")]
    found = [(rank, key) for key in meant if (rank := _rank(key, name)) is not None]
    if not found:
        return None
    _, key = max(found)
    return _login(auths[key], key)


def _rank(key: str, name: ImageName) -> tuple[int, bool, int] | None:
    """Return how specific a key is; None: it is for something else."""
    host, _, path = key.partition("://")[2].partition("/") if "://" in key else key.partition("/")
    parts = [part for part in path.split("/") if part]
    if parts and parts[0] in _PATHS_OF_VERSIONS:
        del parts[0]
    if parts != name.repository.split("/")[: len(parts)]:
        return None
    if not any(_fits(host.lower(), each) for each in spellings(name.registry)):
        return None
    return len(parts), "*" not in host, len(host)


def _fits(pattern: str, host: str) -> bool:
    """Return whether a host, with its port, is one of a pattern, whose ``*`` spans no dot."""
    wanted, found = pattern.split("."), host.split(".")
    return len(wanted) == len(found) and all(map(fnmatchcase, found, wanted))


def _login(entry: _Entry, key: str) -> Login:
    username, password = entry.username, entry.password
    shown = plain(key.rpartition("@")[2])[:200]
    if entry.auth:
        try:
            decoded = base64.b64decode(entry.auth, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise _invalid(f"has no base64 as auth of {shown}") from error
        username, colon, password = decoded.partition(":")
        if not colon:
            raise _invalid(f"has no user:password as auth of {shown}")
        password = password.rstrip("\0")  # Docker pads it
    return Login(username, password, entry.identitytoken, entry.registrytoken)


def _invalid(why: str) -> TransferError:
    return TransferError(
        Reason.INVALID_CREDENTIALS, f"the key {DOCKER_CONFIG} of the pull Secret {why}"
    )


@dataclass(frozen=True)
class Challenge:
    """One way in that a registry offers (RFC 9110, 11.6.1).

    Attributes:
        scheme: In lower case.
        values: By their names in lower case.
    """

    scheme: str
    values: dict[str, str]


def challenge(header: str) -> Challenge | None:
    """Return the way in to take: a token if that is offered, else Basic; None: there is neither."""
    found: dict[str, Challenge] = {}
    latest = Challenge("", {})
    for word in _WORDS.finditer(header[:_MOST_CHALLENGE]):
        if word["scheme"]:
            latest = Challenge(word["scheme"].lower(), {})
            found.setdefault(latest.scheme, latest)
            continue
        quoted = word["quoted"]
        value = word["plain"] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        latest.values.setdefault(word["name"].lower(), value)
    return found.get("bearer") or found.get("basic")


def realm(asked: Challenge, name: ImageName, origin: str) -> tuple[str, dict[str, str]]:
    """Return where tokens are made, and what to ask for there.

    Whoever has the registry has what is sent to it, and so chooses freely to whom it passes that
    on; but nobody on the way may read it (https://distribution.github.io/distribution/spec/auth/).

    Args:
        asked: What the registry said.
        name: The image.
        origin: Of the registry.

    Raises:
        TransferError: ``SourceRefused``.
    """
    place = asked.values.get("realm", "")
    try:
        parts = urlsplit(checked_url(place))
    except TransferError as error:
        raise _no_realm(origin) from error
    if parts.username is not None:
        raise _no_realm(origin)
    if origin.startswith("https:") and parts.scheme != "https":
        raise TransferError(
            Reason.SOURCE_REFUSED,
            f"{origin} has its tokens made at {plain(redacted(place))[:200]}, where anybody can "
            "read the credentials; only HTTPS is followed from HTTPS",
        )
    scope = asked.values.get("scope") or f"repository:{name.repository}:pull"
    wanted = {"service": asked.values["service"]} if "service" in asked.values else {}
    return parts._replace(fragment="").geturl(), {**wanted, "scope": scope}


def with_query(url: str, wanted: dict[str, str]) -> str:
    """Return a URL with more in its query."""
    parts = urlsplit(url)
    return parts._replace(query="&".join(filter(None, (parts.query, urlencode(wanted))))).geturl()


def _no_realm(origin: str) -> TransferError:
    return TransferError(
        Reason.SOURCE_REFUSED, f"{origin} asks for tokens, but does not say where they are made"
    )


class _Answer(BaseModel):
    token: str = ""
    access_token: str = ""


def token(content: bytes, where: str) -> str:
    """Return the token of an answer.

    Args:
        content: Of the answer.
        where: The server, for people.

    Raises:
        TransferError: ``SourceRefused``.
    """
    try:
        answer = _Answer.model_validate_json(content)
    except ValidationError as error:
        raise _no_token(where) from error
    found = answer.token or answer.access_token
    if not _TOKEN.fullmatch(found):
        raise _no_token(where)
    return found


def _no_token(where: str) -> TransferError:
    return TransferError(Reason.SOURCE_REFUSED, f"{where} gave no token for the registry")
