"""Carries out the chosen method, and the fallback where that fails."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from cloudimage.transfer.contract import (
    UNRESTRICTED,
    Import,
    Reason,
    Result,
    SourceInfo,
    Stage,
    TransferError,
)
from cloudimage.transfer.glance.image_lifecycle import Stored, UploadContext
from cloudimage.transfer.glance.import_methods import glance_direct, web_download
from cloudimage.transfer.glance.methods import Choice, Offers, choose
from cloudimage.transfer.glance.upload import upload
from cloudimage.transfer.image.conversion import Payload, TargetFormat, as_file, convert
from cloudimage.transfer.image.glance_rules import check_result
from cloudimage.transfer.image.inspection import Inspected, shape_of
from cloudimage.transfer.image.shared_conversion import SharedConversion
from cloudimage.transfer.progress import Meter
from cloudimage.transfer.request import TransferRequest
from cloudimage.transfer.source.base import Stream
from cloudimage.transfer.source.hashes import Fetched
from cloudimage.transfer.source.http.connections import check_host
from cloudimage.transfer.source.http.head import put_head
from cloudimage.transfer.source.http.model import HttpSource
from cloudimage.transfer.source.http.rules import checked_url
from cloudimage.transfer.tools.toolbox import Toolbox
from cloudimage.transfer.verify.verification import weakness
from cloudimage.vocabulary.image import DiskFormat

FALL_BACK: Final = frozenset(
    {Reason.METHOD_UNAVAILABLE, Reason.UPLOAD_FAILED, Reason.FORBIDDEN, Reason.QUOTA_EXCEEDED}
)
"""Failures of a method chosen by us after which a plain upload may still succeed."""

_HEAD: Final = 4 * 2**20
_SEEN: Final = frozenset(
    {Reason.SOURCE_NOT_FOUND, Reason.SOURCE_REFUSED, Reason.SOURCE_NOT_AN_IMAGE}
)
"""Failures of a source that Glance must also have met."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Located:
    """An inspected file in the scratch.

    Attributes:
        shared: Converts it also for other transfers; None: nobody else can want the same.
    """

    path: Path
    found: Inspected
    tools: Toolbox
    shared: SharedConversion | None = None

    def as_wanted(self, wanted: TargetFormat, meter: Meter) -> Payload:
        """Return the file as what is wanted."""
        how = (self.path, self.found, wanted, self.tools, meter)
        return (self.shared and self.shared.convert(*how)) or convert(*how)


def choose_method(request: TransferRequest, target: UploadContext) -> Choice:
    """Choose the method by what the cloud offers; a plain upload needs no offer.

    Raises:
        TransferError: As for :func:`cloudimage.transfer.glance.methods.choose`, and the cloud's.
    """
    plain = request.method == Import(method="Upload")
    return choose(request, Offers() if plain else target.glance.offers(), _refused(request))


def _refused(request: TransferRequest) -> str | None:
    """Return why the policy does not let Glance be sent to the source's host, if so.

    That is all the policy can do there: Glance resolves the name again, and follows redirects.
    """
    source = request.source
    if request.method.method != "WebDownload" or request.policy == UNRESTRICTED:
        return None
    if not isinstance(source, HttpSource):
        return None  # that is refused for what it is
    try:
        url = checked_url(source.url, request.policy.schemes)
        host = urlsplit(url).hostname or ""
        if "%" in host:  # Glance would decode it, and go elsewhere
            return "the URL's host is not a plain host name"
        check_host(host, request.policy)
    except TransferError as error:
        return error.message
    except (OSError, UnicodeError):  # an unknown name, or an invalid one
        return "the URL's host cannot be resolved here, as the operator's URL policy demands"
    return None


def by_web_download(
    target: UploadContext, request: TransferRequest, choice: Choice, folder: Path
) -> Result | Choice:
    """Have Glance fetch the source; what is known of that is what Glance says of the image.

    Returns:
        The outcome, or another choice if nobody asked for this method and it failed.

    Raises:
        TransferError: Those of :func:`web_download`.
    """
    try:
        stored, virtual_size = web_download(target, request.source, folder, request.pinned)
    except TransferError as error:
        if choice.asked and error.reason is Reason.UPLOAD_FAILED:
            target.meter.start(Stage.FETCHING)  # for all that is known the source is at fault
            check_source(request, folder, error)
        if choice.asked or error.reason not in FALL_BACK:
            raise
        return choice.instead(error)
    shape = request.source.format or stored.disk_format
    kept = shape == stored.disk_format
    info = SourceInfo(
        format=shape,
        size=stored.size if kept else None,
        actual_size=stored.size if kept else None,
        virtual_size=virtual_size,
        checksums={stored.hash_algo: stored.hash_value} if kept else {},
    )
    result = _result(stored, choice, info)
    return result.model_copy(update={"warnings": weakness(request.source.checksum)})


def check_source(request: TransferRequest, folder: Path, error: TransferError) -> None:
    """Look at the source that Glance could not import, of which it says "Internal Error" at most.

    Raises:
        TransferError: ``MethodUnavailable`` where the file has another format than Glance expects,
            ``SourceNotFound``, ``SourceRefused`` or ``SourceNotAnImage``. Nothing is raised where
            the source seems to be fine, or cannot be reached from here.
    """
    source, path = request.source, folder / "head"
    shape = source.format or request.image.disk_format
    if not isinstance(source, HttpSource):
        return
    try:
        size = put_head(source, path, _HEAD, request.policy, request.limits)
        _check_beginning(path, size, shape)
    except TransferError as found:
        if found.reason in {Reason.UNSAFE_IMAGE, Reason.UNSUPPORTED_FORMAT}:
            raise TransferError(
                Reason.METHOD_UNAVAILABLE,
                f"Glance expects a {shape} file, and could not import it: {found.message}. "
                "Correct the format, or use the method Upload, with which the operator converts",
            ) from error
        if found.reason in _SEEN:
            raise TransferError(
                found.reason,
                f"{error.message}; asked from here, {found.message}",
                retry_after=found.retry_after,
            ) from error
        _log.info("why Glance failed cannot be seen from here: %s", found.message)
    finally:
        path.unlink(missing_ok=True)


def _check_beginning(path: Path, size: int, shape: DiskFormat | None) -> None:
    """Compare a file's beginning with a format.

    Raises:
        TransferError: As for :func:`cloudimage.transfer.image.inspection.shape_of`.
    """
    try:
        shape_of(path, size, shape)
    except TransferError:
        if shape != "vhd":
            raise
        shape_of(path, size, "raw")  # a fixed VHD is known by its end


def deliver(target: UploadContext, choice: Choice, located: Located, source: SourceInfo) -> Result:
    """Give the fetched file to Glance.

    Raises:
        TransferError: Those of the conversion and of the methods.
    """
    if choice.method == "GlanceDirect" and choice.asked:
        return _result(_convert_by_store(target, located), choice, source)
    wanted = TargetFormat(target.image.disk_format, target.image.compress)
    payload = located.as_wanted(wanted, target.meter)
    _check_accepted(target, located, payload)
    if choice.method == "GlanceDirect":
        try:
            return _result(glance_direct(target, payload, payload), choice, source)
        except TransferError as error:
            if error.reason not in FALL_BACK:
                raise
            choice = choice.instead(error)
    return _result(upload(target, payload), choice, source)


def deliver_stream(target: UploadContext, choice: Choice, stream: Stream) -> Result:
    """Give Glance a raw source as it comes from its server.

    Raises:
        TransferError: Those of the source and of :func:`upload`.
    """
    stored = upload(target, stream.payload)
    return _result(stored, choice, source_info(stream.found, stream.fetched))


def source_info(found: Inspected, fetched: Fetched) -> SourceInfo:
    """Return what a fetched source turned out to be."""
    return SourceInfo(
        format=found.format,
        size=fetched.size,
        actual_size=found.size,
        virtual_size=found.virtual_size,
        checksums=fetched.checksums,
        modified=fetched.modified,
    )


def _convert_by_store(target: UploadContext, located: Located) -> Stored:
    """Stage the file as it is; what Glance makes of it must be what we would make of it."""
    wanted, found = target.image.disk_format, located.found
    if wanted in {None, found.format}:
        payload = located.as_wanted(TargetFormat(), target.meter)
        _check_accepted(target, located, payload)
        return glance_direct(target, payload, payload)
    if wanted != "raw":
        raise TransferError(
            Reason.METHOD_UNAVAILABLE,
            f"Glance's conversion from {found.format} to {wanted} cannot be verified against our "
            "own: GlanceDirect converts to raw only",
        )
    proof = located.as_wanted(TargetFormat("raw"), target.meter)
    staged = as_file(located.path, found.format)
    for each in (staged, proof):
        _check_accepted(target, located, each)
    return glance_direct(target, staged, proof)


def _check_accepted(target: UploadContext, located: Located, payload: Payload) -> None:
    """Refuse what Glance would refuse, before it gets the first byte."""
    container, converted = target.image.container_format, payload.format != located.found.format
    check_result(payload.format, container, payload.open, converted=converted)


def _result(stored: Stored, choice: Choice, source: SourceInfo) -> Result:
    return Result(
        image_id=stored.image_id,
        disk_format=stored.disk_format,
        size=stored.size,
        virtual_size=source.virtual_size,
        hash_algo=stored.hash_algo,
        hash_value=stored.hash_value,
        source=source,
        method=choice.method,
        method_reason=choice.reason,
    )
