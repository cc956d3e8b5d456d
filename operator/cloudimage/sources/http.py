"""spec.source.http: a file behind a URL."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Self

from cloudimage.api.sources.http import Checksum, HttpSource
from cloudimage.sources.base import Proof, Reference
from cloudimage.sources.parts import checksum_of, text_reference
from cloudimage.transfer.source.http import model
from cloudimage.transfer.source.http.rules import redacted
from cloudimage.vocabulary.image import DiskFormat


@dataclass(frozen=True)
class HttpSpecSource:
    """A :class:`cloudimage.sources.base.SpecSource` of a file behind a URL."""

    spec: HttpSource

    def location(self) -> str:
        """Return the URL, without a query that may be secret."""
        return redacted(self.spec.url)

    def references(self) -> tuple[Reference, ...]:
        """Return its credentials, its certificate and its keyring."""
        return tuple(self._references())

    def _references(self) -> Iterator[Reference]:
        if self.spec.auth:
            # All of them: each mirror gets the credentials.
            urls = (self.spec.url, *(self.spec.mirrors or ()))
            yield Reference(model.AUTH, "Secret", self.spec.auth.secret_name, urls=urls)
        if self.spec.ca_certificate:
            yield text_reference(model.CA, self.spec.ca_certificate)
        if self._checksum.signature:
            yield text_reference(model.KEYRING, self._checksum.signature.keyring)

    def proof(self) -> Proof:
        """Return the checksum, by whichever algorithm, or where it is, and whether one signs it."""
        listed, signed = self._checksum.from_ is not None, self._checksum.signature is not None
        return Proof(checksum_of(self._checksum), listed=listed, signed=signed)

    def declared_format(self) -> DiskFormat | None:
        """Return the format that is declared, if one is."""
        return self.spec.format

    def selector(self) -> None:
        """Return that there is nothing to look up: a transfer asks the server."""

    def at(self, version: str) -> Self:  # noqa: ARG002 - without a selector there is no version
        """Return the source."""
        return self

    def content(self) -> Mapping[str, object]:
        """Return what its bytes depend on.

        With a checksum the URL does not count: another mirror of the same bytes needs no new image.
        A signature counts: what was made without asking for it was not checked against it.
        """
        checksum, given = self.proof().checksum, self._checksum.to_json()
        content = f"{checksum.algorithm}:{checksum.value}" if checksum else self.spec.url
        parts: dict[str, object] = {"content": content}
        parts.update((name, given[name]) for name in ("from", "signature") if name in given)
        return parts

    def request(self) -> model.HttpSource:
        """Return it as a transfer takes it."""
        named, signature = self._checksum.from_, self._checksum.signature
        signed = model.Signature(url=signature.url) if signature else None
        sums = None
        if named is not None:
            sums = model.SumsFile(url=named.url, filename=named.filename, signature=signed)
        return model.HttpSource(
            url=self.spec.url,
            mirrors=self.spec.mirrors or (),
            checksum=self.proof().checksum,
            sums=sums,
            signature=None if sums else signed,
            format=self.spec.format,
        )

    @property
    def _checksum(self) -> Checksum:
        return self.spec.checksum or Checksum()
