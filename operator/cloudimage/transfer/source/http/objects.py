"""An object of a store that speaks HTTP: what its headers say of it, then a file behind a URL."""

import re
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Final, Protocol

from cloudimage.transfer.contract import Checksum
from cloudimage.transfer.source.base import Context
from cloudimage.transfer.source.http.client import Client, UnansweredError
from cloudimage.transfer.source.http.credentials import Credentials
from cloudimage.transfer.source.http.model import HttpSource
from cloudimage.transfer.source.http.reader import HttpReader
from cloudimage.transfer.verify.verification import Expected

Headers = Mapping[str, str]

_MOST: Final = 1024
"""Characters of an entity tag, or of a version's id ("Versioning workflows" of S3)."""

_PRINTABLE: Final = re.compile("[!-~]+")


class ObjectCredentials(Credentials, Protocol):
    """Credentials that ask for one version of an object.

    Attributes:
        tag: Its entity tag; None: it is not known yet.
    """

    tag: str | None


@dataclass(frozen=True)
class Told:
    """What a kind of store says of an object by the headers of an answer.

    Attributes:
        checksum: Returns its hash of the whole object, or None.
        version: Returns what it calls the bytes, or None.
        no_hash: Sentence for the user where there is no hash.
        wanted: Headers by which it says more.
    """

    checksum: Callable[[Headers], Checksum | None]
    version: Callable[[Headers], str | None]
    no_hash: str
    wanted: dict[str, str] = field(default_factory=dict)


def _plain(value: str | None) -> str | None:
    """Return what may be sent back and shown, as stores have it; None for anything else."""
    return value if value and len(value) <= _MOST and _PRINTABLE.fullmatch(value) else None


class ObjectReader(HttpReader):
    """A :class:`cloudimage.transfer.source.base.Reader` of an object of a store."""

    def __init__(
        self,
        file: HttpSource,
        client: Client,
        credentials: ObjectCredentials,
        told: Told,
        context: Context,
    ) -> None:
        super().__init__(file, client, context)
        self._credentials = credentials
        self._told = told

    def expect(self) -> Expected:
        """Find out what the object must be, by what its store says of it.

        All later requests are for what the object is now.
        """
        headers = self._headers()
        checksum = self._source.checksum or self._told.checksum(headers)
        self._source = self._source.model_copy(update={"checksum": checksum})
        self._credentials.tag = _plain(headers.get("ETag"))
        version = _plain(self._told.version(headers))
        expected = replace(super().expect(), version=version)
        return expected if checksum else replace(expected, warnings=(self._told.no_hash,))

    def _headers(self) -> Headers:
        """Return the headers of the object, of which no byte is read.

        It is no HEAD, whose failures have no body that would say why.
        """
        verified = self._source.checksum is not None
        try:
            answer = self._client.get(self._source.url, self._told.wanted, verified=verified)
        except UnansweredError as error:
            raise error.error from error
        with closing(answer):
            if answer.status_code != HTTPStatus.OK:
                raise self._client.status_error(answer)
            return answer.headers
