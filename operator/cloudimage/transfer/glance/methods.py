"""Chooses how the bytes get into Glance; pure.

The cheapest method that keeps every promise of the request is chosen: that the bytes are those of
the checksum or the signature, that they are safe to open, that they come in the wanted format and
into the wanted stores.
"""

from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import urlsplit

from cloudimage.transfer.contract import (
    UNRESTRICTED,
    Import,
    NewImage,
    Reason,
    Source,
    TransferError,
    UrlPolicy,
)
from cloudimage.transfer.request import TransferRequest
from cloudimage.transfer.source.http.model import HttpSource

Chosen = Literal["Upload", "GlanceDirect", "WebDownload"]

_GLANCE_NAMES: Final[dict[Chosen, str]] = {
    "Upload": "copy-image",  # to fill more than one store
    "GlanceDirect": "glance-direct",
    "WebDownload": "web-download",
}

_PROVABLE: Final = frozenset({"sha512", "md5"})
"""What Glance hashes by: ``os_hash_algo`` unless configured otherwise, and ``checksum``."""

_STRONG: Final = "sha512"
_SHOWN_BY_ITS_ENDS: Final = frozenset({"raw", "iso"})
"""Formats of which the first and last bytes show all that there is to inspect."""


@dataclass(frozen=True)
class Offers:
    """What a cloud offers.

    Attributes:
        methods: Import methods, as Glance names them.
        stores: Ids of stores that can be written to; None: the cloud lets nobody choose.
    """

    methods: frozenset[str] = frozenset()
    stores: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Choice:
    """A method.

    Attributes:
        reason: A sentence for the user.
        asked: The request named the method.
    """

    method: Chosen
    reason: str
    asked: bool = False

    def instead(self, error: TransferError) -> "Choice":
        """Return the choice after this one has failed."""
        return Choice("Upload", f"Upload, because {self.method} failed: {error.message}")


def choose(request: TransferRequest, offers: Offers, refused: str | None = None) -> Choice:
    """Choose the method of a request.

    Args:
        request: What is asked for.
        offers: What the cloud offers.
        refused: Why the URL policy forbids sending Glance to the source's host, if it does.

    Raises:
        TransferError: ``MethodUnavailable`` for a named method that the cloud does not offer or
            that breaks a promise; ``InvalidImage`` for stores that are not there.
    """
    wanted = request.method
    check_stores(wanted, offers)
    if wanted.method == "Auto":
        return _automatic(request, offers)
    missing = _missing(wanted.method, wanted.stores, offers)
    if missing is None and wanted.method == "WebDownload":
        missing = (
            _customized(request)
            or _unread(request)
            or web_obstacle(request.source, request.image, request.policy)
            or refused
        )
    if missing is not None:
        raise TransferError(
            Reason.METHOD_UNAVAILABLE, f"the method {wanted.method} cannot be used: {missing}"
        )
    return Choice(wanted.method, f"{wanted.method}, as requested", asked=True)


def check_stores(wanted: Import, offers: Offers) -> None:
    """Refuse stores that do not exist.

    Raises:
        TransferError: ``InvalidImage``.
    """
    if wanted.stores and offers.stores is None:
        raise TransferError(
            Reason.INVALID_IMAGE, "this cloud's Glance has no stores to choose from; omit them"
        )
    unknown = [each for each in wanted.stores if each not in (offers.stores or ())]
    if unknown:
        raise TransferError(
            Reason.INVALID_IMAGE,
            f"Glance has no writable store {', '.join(unknown)}; available are "
            f"{', '.join(offers.stores or ())}",
        )


def web_obstacle(source: Source, image: NewImage, policy: UrlPolicy) -> str | None:
    """Return why Glance cannot fetch a source itself without breaking a promise, or None."""
    if not isinstance(source, HttpSource):
        return "Glance can fetch only a URL itself"
    shape = source.format or image.disk_format
    if shape is None:
        return "Glance needs the source's format, which is not given"
    if source.auth or source.ca_certificate or urlsplit(source.url).username is not None:
        return "Glance can be given neither credentials nor a certificate for the source"
    if urlsplit(source.url).scheme not in policy.schemes:
        return "the URL's scheme is not allowed"
    converted = image.disk_format not in {None, shape}
    if converted and shape == "vhd":
        return "Glance's conversion derives a VHD's size from its geometry, and may cut off its end"
    return _unprovable(source, converted=converted)


def _unread(request: TransferRequest) -> str | None:
    """Return why the bytes must not go past us, or None."""
    if request.lint not in {"Warn", "Enforce"}:
        return None
    return f"spec.lint {request.lint} wants the image looked into before it is in Glance"


def _unprovable(source: HttpSource, *, converted: bool) -> str | None:
    """Return why Glance's hash would not prove what the request wants proved, or None."""
    if source.signature or source.sums:
        return (
            "a signature or a checksum file can be verified only if the bytes go through the "
            "operator"
        )
    if source.checksum and source.checksum.algorithm not in _PROVABLE:
        return (
            f"Glance does not hash with {source.checksum.algorithm}, so the file it fetched could "
            "not be compared with the checksum"
        )
    if source.checksum and converted:
        return "once Glance has converted the bytes they cannot be compared with the checksum"
    return None


def _missing(method: Chosen, stores: tuple[str, ...], offers: Offers) -> str | None:
    """Return why Glance does not offer a method, or None."""
    name = _GLANCE_NAMES[method]
    if name in offers.methods or (method == "Upload" and not stores[1:]):
        return None
    offered = f"Glance's import offers {', '.join(sorted(offers.methods)) or 'nothing'}"
    purpose = " for more than one store" if method == "Upload" else ""
    return f"{offered}, but {name} is needed{purpose}"


def _customized(request: TransferRequest) -> str | None:
    return "spec.customize changes the bytes before Glance gets them" if request.customize else None


def _automatic(request: TransferRequest, offers: Offers) -> Choice:
    stores = request.method.stores
    obstacle = (
        _customized(request)
        or _unread(request)
        or _missing("WebDownload", stores, offers)
        or web_obstacle(request.source, request.image, request.policy)
        or _doubt(request)
    )
    if obstacle is None:
        return Choice(
            "WebDownload",
            "WebDownload: Glance fetches the file itself, and its own hash then proves it",
        )
    if stores[1:] and _missing("GlanceDirect", stores, offers) is None:
        return Choice(
            "GlanceDirect",
            "GlanceDirect: one import fills several stores, while only administrators may copy an "
            "image afterwards",
        )
    if missing := _missing("Upload", stores, offers):
        raise TransferError(Reason.METHOD_UNAVAILABLE, f"no method can be used: {missing}")
    return Choice("Upload", f"Upload and not WebDownload: {obstacle}")


def _doubt(request: TransferRequest) -> str | None:
    """Return why fetching by Glance may break a promise, or may only work by luck."""
    source, image = request.source, request.image
    if source.checksum is None or source.checksum.algorithm != _STRONG:
        return f"only a {_STRONG} checksum would prove what Glance fetched, and none is given"
    if isinstance(source, HttpSource) and source.mirrors:
        return "Glance would not try the mirrors"
    if request.policy != UNRESTRICTED:
        return (
            "Glance does not follow the operator's URL policy, neither for the URL nor for "
            "redirects"
        )
    if source.format not in _SHOWN_BY_ITS_ENDS or image.disk_format not in {None, source.format}:
        return "the operator has to inspect or convert the whole file"
    return None
