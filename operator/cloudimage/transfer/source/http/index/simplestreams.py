"""Simple Streams: the list of builds that Ubuntu, MAAS and LXD publish; pure.

The format: documentation of simplestreams, "Streams: index" and "Streams: product".
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urljoin

from cloudimage.transfer.contract import Checksum, Reason, TransferError
from cloudimage.transfer.source.http.index.patterns import MOST_NAME

MAX_BYTES: Final = 32 * 2**20
"""Bytes; Ubuntu's list of daily builds has some."""

_INDEX: Final = "index:1.0"
_PRODUCTS: Final = "products:1.0"
_DIGITS: Final[Mapping[str, int]] = {"sha512": 128, "sha256": 64}
_STREAMS: Final = "streams/v1/"


@dataclass(frozen=True)
class Wanted:
    """Which of the items of a stream is meant.

    Attributes:
        product: The product's name; None: ``alias`` and ``arch`` tell.
        alias: One of the product's aliases, such as ``24.04``.
        arch: Its architecture, such as ``amd64``.
        item: The item's name or its ``ftype``, such as ``disk1.img``.
    """

    item: str
    product: str | None = None
    alias: str | None = None
    arch: str | None = None

    def fits(self, name: str, product: Mapping[str, Any]) -> bool:
        """Return whether a product is the one that is meant."""
        if self.product is not None:
            return name == self.product
        aliases = _text(product.get("aliases")).split(",")
        return self.alias in (*aliases, product.get("version"), product.get("release")) and (
            self.arch is None or product.get("arch") == self.arch
        )


@dataclass(frozen=True)
class Item:
    """A file of one version of a product; its size in bytes."""

    version: str
    url: str
    checksum: Checksum
    size: int | None


def documents(content: bytes, url: str, wanted: Wanted) -> tuple[str, ...]:
    """Return the URLs of the product lists that an index has for what is wanted.

    A product list has no others.

    Raises:
        TransferError: ``SumsFileInvalid``: it is neither an index nor a product list.
    """
    document = _document(content)
    if document["format"] == _PRODUCTS:
        return ()
    found = []
    for entry in _values(document.get("index")):
        path, names = entry.get("path"), entry.get("products")
        named = wanted.product is None or (isinstance(names, list) and wanted.product in names)
        if entry.get("datatype") == "image-downloads" and isinstance(path, str) and named:
            found.append(_below(url, path))
    return tuple(found)


def items(content: bytes, url: str, wanted: Wanted) -> tuple[Item, ...]:
    """Return the versions of what is wanted, in the order of the list.

    An item without a SHA-256 or SHA-512 is left out: the list is there to prove it.

    Returns:
        Nothing, if it has no such product.

    Raises:
        TransferError: ``SumsFileInvalid``: it is no product list, or has several such products.
    """
    document = _document(content)
    products = document.get("products")
    if document["format"] != _PRODUCTS or not isinstance(products, dict):
        raise _invalid("is no product list")
    found = [
        name
        for name, each in products.items()
        if isinstance(each, dict) and wanted.fits(name, each)
    ]
    if len(found) > 1:
        names = ", ".join(sorted(found)[:3])
        raise _invalid(f"has several products that are meant: {names}. Give the architecture")
    return tuple(item for name in found for item in _items(products[name], url, wanted))


def _items(product: Mapping[str, Any], url: str, wanted: Wanted) -> Iterator[Item]:
    versions = product.get("versions")
    for version, each in versions.items() if isinstance(versions, dict) else ():
        if len(version) > MOST_NAME or not version.isprintable():
            continue
        files = each.get("items") if isinstance(each, dict) else None
        for name, file in files.items() if isinstance(files, dict) else ():
            if not isinstance(file, dict) or wanted.item not in (name, file.get("ftype")):
                continue
            checksum, path = _checksum(file), file.get("path")
            if checksum is not None and isinstance(path, str):
                size = file.get("size")
                known = size if isinstance(size, int) and size > 0 else None
                yield Item(version, _below(url, path), checksum, known)


def _checksum(file: Mapping[str, Any]) -> Checksum | None:
    for algorithm, length in _DIGITS.items():
        value = _text(file.get(algorithm)).lower()
        if len(value) == length and set(value) <= set("0123456789abcdef"):
            return Checksum.model_validate({"algorithm": algorithm, "value": value})
    return None


def _below(url: str, path: str) -> str:
    """Return where a path of a document is: paths are relative to the mirror, above its streams.

    Raises:
        TransferError: ``SumsFileInvalid``: it leads out of the mirror, or is no path.
    """
    mirror, found, _ = url.partition(_STREAMS)
    base = mirror if found else urljoin(url, ".")
    if path.startswith("/") or ".." in path.split("/") or not path.isprintable():
        raise _invalid("has a path that leads out of its mirror")
    return base + quote(path, safe="/")


def _document(content: bytes) -> dict[str, Any]:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _invalid("is no JSON") from error
    if not isinstance(document, dict) or document.get("format") not in (_INDEX, _PRODUCTS):
        raise _invalid(f"has neither the format {_INDEX} nor {_PRODUCTS}")
    return document


def _values(mapping: object) -> Iterator[Mapping[str, Any]]:
    for each in mapping.values() if isinstance(mapping, dict) else ():
        if isinstance(each, dict):
            yield each


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _invalid(what: str) -> TransferError:
    return TransferError(Reason.SUMS_FILE_INVALID, f"the Simple Streams document {what}")
