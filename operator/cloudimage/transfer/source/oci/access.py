"""How a registry lets in: by tokens that it has made, or by a password."""

import base64
import re
from collections.abc import Callable
from contextlib import closing
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

import requests
from pydantic import BaseModel, ValidationError

from cloudimage.plaintext import plain
from cloudimage.transfer.contract import Reason, TransferError
from cloudimage.transfer.scratch import redacted_name
from cloudimage.transfer.source.http.client import CONNECTION_ERRORS, Client, UnansweredError
from cloudimage.transfer.source.http.model import HttpAuth
from cloudimage.transfer.source.http.rules import connection_error, redacted, status_error
from cloudimage.transfer.source.oci import logins
from cloudimage.transfer.source.oci.logins import Challenge, Login
from cloudimage.transfer.source.oci.model import OciSource
from cloudimage.vocabulary.oci import is_loopback

_MOST_ANSWER: Final = 256 * 2**10
_TOKEN_SECONDS: Final = 60.0
_DENIED: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
_CODE: Final = re.compile(r"[A-Z][A-Z_]{1,63}")
_CLIENT_ID: Final = "cloudimage-operator"

Asker = Callable[[str, HttpAuth | None], Client]
"""Opens a client of a server by its URL and what is shown there."""


class _Problem(BaseModel):
    code: str = ""
    message: str = ""


class _Problems(BaseModel):
    """What a registry answers to what it refuses (OCI distribution spec, "Error Codes")."""

    errors: list[_Problem]


class Access:
    """The :class:`cloudimage.transfer.source.http.credentials.Credentials` of a registry.

    Nothing is shown before the registry asks for it, by the answer 401. Its tokens last for
    minutes, and are renewed by the same answer. Of redirects, it is never asked.

    Attributes:
        identity: Tells those apart who may see other images.
    """

    def __init__(self, source: OciSource, origin: str, asker: Asker) -> None:
        """Prepare.

        Args:
            source: The image, with the pull Secret.
            origin: Of the registry.
            asker: Opens a client of the server that makes tokens.

        Raises:
            TransferError: ``InvalidCredentials`` for a pull Secret that cannot be read.
        """
        self._name, self._origin, self._asker = source.name, origin, asker
        config = source.docker_config
        self._readable = origin.startswith("http:") and not is_loopback(origin.partition("//")[2])
        self._login = None
        if config is not None:
            self._login = logins.login(config, self._name, readable=self._readable)
        self._has_secret = config is not None
        bearer = self._login.bearer if self._login else ""
        self._shown = f"Bearer {bearer}" if bearer else ""
        self.identity = redacted_name(f"{origin} {_all(self._login)}")

    def show(self, request: requests.PreparedRequest) -> None:
        """Show the token or the password, once the registry has asked for it."""
        if self._shown:
            request.headers["Authorization"] = self._shown

    def renew(self, response: requests.Response) -> bool:
        """Have a token made, or show the password, if the registry asks for it.

        Raises:
            TransferError: ``SourceRefused`` or ``SourceUnreachable``: no token can be had.
            UnansweredError: Another attempt may have one.
        """
        if response.status_code != HTTPStatus.UNAUTHORIZED:
            return False
        asked = logins.challenge(response.headers.get("WWW-Authenticate", ""))
        before = self._shown
        if asked is None:
            return False
        if asked.scheme == "bearer":
            self._shown = f"Bearer {self._token(asked)}"
        elif self._login and self._login.username:
            pair = f"{self._login.username}:{self._login.password}"
            self._shown = f"Basic {base64.b64encode(pair.encode()).decode()}"
        return self._shown != before

    def explain(self, response: requests.Response, body: bytes) -> TransferError | None:
        """Return what an answer of the registry means."""
        said = _said(body)
        if response.status_code == HTTPStatus.NOT_FOUND:
            return TransferError(
                Reason.SOURCE_NOT_FOUND,
                f"the registry {self._name.registry} has no image {self._name}, or not all of "
                f"it{said}",
            )
        if response.status_code in _DENIED:
            return self._denied(said)
        return None

    def _denied(self, said: str) -> TransferError:
        """Return what it means that the registry does not let in."""
        if self._login:
            why = "the entry of spec.source.oci.pullSecret for it may not pull this image"
        elif self._has_secret:
            why = "spec.source.oci.pullSecret has no entry for this registry and image"
            if self._readable:
                why += " whose key begins with http://, as it must where there is no TLS"
        else:
            why = "it may not exist, or needs credentials: give spec.source.oci.pullSecret"
        return TransferError(
            Reason.SOURCE_REFUSED,
            f"the registry {self._name.registry} does not give {self._name}{said}: {why}",
        )

    def _token(self, asked: Challenge) -> str:
        place, wanted = logins.realm(asked, self._name, self._origin)
        where, login = plain(redacted(place))[:200], self._login or Login()
        refresh = login.refresh_token
        auth = None
        if login.username and not refresh:
            auth = HttpAuth(username=login.username, password=login.password)
        with self._asker(place, auth) as client, client.within(_TOKEN_SECONDS):
            if refresh:
                # https://distribution.github.io/distribution/spec/auth/oauth/
                form = {"grant_type": "refresh_token", "refresh_token": refresh}
                answer = client.post(place, {**form, **wanted, "client_id": _CLIENT_ID})
            else:
                answer = client.get(logins.with_query(place, wanted), verified=False)
            with closing(answer) as response:
                content = received(client, response, _MOST_ANSWER, where)
        status = response.status_code
        if status in _DENIED | {HTTPStatus.BAD_REQUEST}:
            raise self._denied(_said(content) or f" ({urlsplit(place).hostname} gives no token)")
        if status != HTTPStatus.OK:
            failure = status_error(status, where, response.headers)
            passing = failure.reason is Reason.SOURCE_UNREACHABLE
            raise UnansweredError(failure) if passing else failure
        return logins.token(content, where)


def received(client: Client, response: requests.Response, most: int, where: str) -> bytes:
    """Return a short answer whole.

    Args:
        client: That asked.
        response: The answer.
        most: Bytes.
        where: What it is, for people.

    Raises:
        UnansweredError: It did not come.
        TransferError: ``SourceRefused``: it is too long.
    """
    content = b""
    try:
        while len(content) <= most and (piece := client.read(response, most + 1 - len(content))):
            content += piece
    except CONNECTION_ERRORS as error:
        stall = client.limits.stall_seconds
        raise UnansweredError(connection_error(error, response.url, stall)) from error
    if len(content) > most:
        raise TransferError(Reason.SOURCE_REFUSED, f"{where} answers with over {most} bytes")
    return content


def _said(body: bytes) -> str:
    """Return the registry's own words, in brackets; "" if it has said nothing."""
    try:
        problems = _Problems.model_validate_json(body).errors
    except ValidationError:
        return ""
    words = [
        plain(f"{each.code}: {each.message}"[:200])
        for each in problems[:2]
        if _CODE.fullmatch(each.code)
    ]
    return f" ({'; '.join(words)})" if words else ""


def _all(login: Login | None) -> list[str]:
    return [login.username, login.password, login.refresh_token, login.bearer] if login else []
