"""spec.source.http: a file behind a URL."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from cloudimage.api.resolved_source import ResolvedSource
from cloudimage.api.sources.http import Checksum, HttpSource
from cloudimage.api.sources.http_index import HttpIndex
from cloudimage.sources.base import AskedBy, Proof, Reference, digest_of
from cloudimage.sources.parts import checksum_of, text_reference
from cloudimage.transfer import contract
from cloudimage.transfer.source.http import model
from cloudimage.transfer.source.http.index.model import Index, Stream
from cloudimage.transfer.source.http.index.templates import at_build
from cloudimage.transfer.source.http.index.versions import key
from cloudimage.transfer.source.http.rules import redacted
from cloudimage.vocabulary.image import DiskFormat

_REACHED_BY: Final = frozenset({"mirrors", "auth", "caCertificate", "format"})


@dataclass(frozen=True)
class HttpSpecSource:
    """A :class:`cloudimage.sources.base.SpecSource` of a file behind a URL.

    Attributes:
        found: The build that an index, or a checksum file, has; None: it was not looked up.
    """

    spec: HttpSource
    found: ResolvedSource | None = None

    def location(self) -> str:
        """Return the URL, without a query that may be secret; before a look, the index'."""
        return redacted(next(iter(self._listed), "") if self._is_unknown else self._url)

    def references(self) -> tuple[Reference, ...]:
        """Return its credentials, its certificate and its keyring."""
        return tuple(self._references())

    def _references(self) -> Iterator[Reference]:
        if self.spec.auth:
            # All of them: each mirror gets the credentials.
            given = (self.spec.url, *self._listed, *(self.spec.mirrors or ()))
            urls = tuple(url for url in given if url)
            yield Reference(model.AUTH, "Secret", self.spec.auth.secret_name, urls=urls)
        if self.spec.ca_certificate:
            yield text_reference(model.CA, self.spec.ca_certificate)
        if self._checksum.signature:
            yield text_reference(model.KEYRING, self._checksum.signature.keyring)
        streams = self.spec.index and self.spec.index.simple_streams
        if streams and streams.keyring:
            yield text_reference(model.STREAM_KEYRING, streams.keyring)

    def proof(self) -> Proof:
        """Return the checksum, by whichever algorithm, or where it is, and whether one signs it."""
        if not self._checksum.to_json() and self._is_listed_with_checksum:
            streams = self.spec.index.simple_streams if self.spec.index else None
            return Proof(listed=True, signed=streams is not None and streams.keyring is not None)
        listed, signed = self._checksum.from_ is not None, self._checksum.signature is not None
        return Proof(checksum_of(self._checksum), listed=listed, signed=signed)

    def declared_format(self) -> DiskFormat | None:
        """Return the format that is declared, if one is."""
        return self.spec.format

    def selector(self) -> str | None:
        """Return a digest of an index and what is made of it; None: there is no index."""
        return self._digest() if self.spec.index else None

    def followed(self) -> str | None:
        """Return a digest of what can be asked: an index, or the publisher's checksum file."""
        return self._digest() if self.spec.index or self._checksum.from_ else None

    def _digest(self) -> str:
        """Return a digest of what is asked, and not of how it is reached."""
        given = self.spec.to_json()
        return digest_of({name: given[name] for name in given.keys() - _REACHED_BY})

    def why_fixed(self) -> str:
        """Return that a URL alone is."""
        if self.followed() is not None:
            return ""
        return "A URL alone does not say which version it has: give checksum.from, or an index."

    def asked_by(self) -> AskedBy:
        """Return a look."""
        return AskedBy.LOOK

    def is_current(self) -> bool:
        """Return False: what a publisher lists is asked for where it is followed."""
        return False

    def is_older(self, version: str, other: str) -> bool:
        """Return whether a version comes before another in the index' order."""
        if self.spec.index is None:
            return False
        one, two = (key(self.spec.index.order, each) for each in (version, other))
        return one is not None and two is not None and one < two

    def unresolved(self) -> model.HttpSource:
        """Return it as a look takes it: with templates, where it has an index."""
        return replace(self, found=None).request()

    def at(self, found: ResolvedSource) -> "HttpSpecSource":
        """Return the source with the build that is meant."""
        return replace(self, found=found)

    def content(self) -> Mapping[str, object]:
        """Return what its bytes depend on.

        With a checksum the URL does not count: another mirror of the same bytes needs no new image.
        A signature counts: what was made without asking for it was not checked against it.
        """
        found, given = self.found, self._checksum.to_json()
        checksum = self.proof().checksum
        content = f"{checksum.algorithm}:{checksum.value}" if checksum else self.spec.url
        if found is not None and not found.initial:
            content = found.checksum or f"{found.location}@{found.version}"
        parts: dict[str, object] = {"content": content or self.selector()}
        parts.update((name, given[name]) for name in ("from", "signature") if name in given)
        return parts

    def request(self) -> model.HttpSource:
        """Return it as a transfer takes it, or a look before it is known which build is meant.

        Raises:
            ValueError: A template cannot be filled.
        """
        signature = self._checksum.signature
        signed = model.Signature(url=signature.url) if signature else None
        named, sums = self._checksum.from_, None
        if named is not None:
            sums = model.SumsFile(url=named.url, filename=named.filename, signature=signed)
        source = model.HttpSource(
            url=self.spec.url or "",
            index=None if self.spec.index is None else _index(self.spec.index),
            mirrors=self.spec.mirrors or (),
            checksum=self.proof().checksum,
            sums=sums,
            signature=None if sums else signed,
            format=self.spec.format,
        )
        found = self.found
        if found is None:
            return source
        if self.spec.index is not None:
            source = at_build(source, found.values, found.location)
        if source.sums or source.checksum or found.checksum is None:
            return source
        return source.model_copy(update={"checksum": contract.Checksum.parse(found.checksum)})

    @property
    def _url(self) -> str:
        return self.request().url

    @property
    def _is_unknown(self) -> bool:
        return self.spec.index is not None and self.found is None

    @property
    def _is_listed_with_checksum(self) -> bool:
        """Whether the index has the file's checksum, as streams have, and releases may."""
        streamed = self.spec.index is not None and self.spec.index.simple_streams is not None
        return streamed or (self.found is not None and self.found.checksum is not None)

    @property
    def _listed(self) -> tuple[str, ...]:
        return _index(self.spec.index).urls if self.spec.index else ()

    @property
    def _checksum(self) -> Checksum:
        return self.spec.checksum or Checksum()


def _index(spec: HttpIndex) -> Index:
    streams = spec.simple_streams
    stream = None
    if streams is not None:
        stream = Stream(
            url=streams.url,
            item=streams.item,
            product=streams.product,
            alias=streams.alias,
            arch=streams.arch,
            signed=streams.keyring is not None,
        )
    return Index(
        checksums=spec.checksums,
        listing=spec.listing,
        releases=spec.releases,
        stream=stream,
        folder=spec.folder,
        pattern=spec.pattern,
        order=spec.order,
    )
