"""What a request says of an index in which a publisher's newest build is found."""

from typing import Self

from cloudimage.transfer.contract import Model
from cloudimage.transfer.source.http.index.versions import Order


class Stream(Model):
    """An item of a Simple Streams document.

    Attributes:
        url: Of the index, or of the list of products.
        product: The product's name; None: ``alias`` and ``arch`` tell.
        item: The item's name or its ``ftype``.
        signed: Whether it must be signed.
        keyring: The keys that count, ASCII-armored.
    """

    url: str
    item: str
    product: str | None = None
    alias: str | None = None
    arch: str | None = None
    signed: bool = False
    keyring: str = ""


class Index(Model):
    """Where builds are listed; exactly one of the first four is set.

    Attributes:
        checksums: URL of a checksum file, whose names are those of builds.
        listing: URL of a folder whose index page lists them.
        releases: URL of a list of releases, as Git hosts' APIs have it.
        stream: An item of a Simple Streams document.
        folder: Patterns of the folders in the listing, level by level with a slash between them, or
            the pattern of the releases' tags; None: the listing has the files themselves.
        pattern: Pattern of the files' names; None: a release's tag, or the stream, tells enough.
        order: How versions compare.
    """

    checksums: str | None = None
    listing: str | None = None
    releases: str | None = None
    stream: Stream | None = None
    folder: str | None = None
    pattern: str | None = None
    order: Order = "Version"

    def with_keyring(self, keyring: str) -> Self:
        """Return the index with the keys that count for its stream."""
        stream = self.stream and self.stream.model_copy(update={"keyring": keyring})
        return self.model_copy(update={"stream": stream})

    @property
    def urls(self) -> tuple[str, ...]:
        """Where builds are listed."""
        given = (self.checksums, self.listing, self.releases, self.stream and self.stream.url)
        return tuple(url for url in given if url)
