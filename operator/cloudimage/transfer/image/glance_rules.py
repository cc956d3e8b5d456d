"""What Glance refuses of the bytes that it is given, asked before it is given any.

Glance looks at an image of the container format bare while it takes its bytes, with the inspectors
of oslo.utils, and refuses it at the end: after all of an upload, and without saying which check
(glance/location.py, ``ImageProxy.set_data``). The same inspectors say it here, of the same bytes.
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from typing import IO, Final, cast

from oslo_utils.imageutils import format_inspector

from cloudimage.transfer.contract import Reason, TransferError
from cloudimage.vocabulary.image import NOT_DISKS, DiskFormat

_INSPECTED: Final = "bare"
_CHUNK: Final = 4096  # the inspectors expect pieces of this size; see detect_file_format
_HEAD: Final = 8 * 2**20
"""Bytes within which the inspectors know what we write: a VHDX has its size behind 2 MiB."""


def only(found: Iterable[format_inspector.FileInspector]) -> format_inspector.FileInspector:
    """Return the inspector of the one format that the content matches.

    Raises:
        TransferError: ``UnsafeImage``.
    """
    by_name = {str(each): each for each in found}
    if by_name.keys() == {"iso", "gpt"}:  # an ISO that also boots from a disk
        return by_name["iso"]
    if len(by_name) != 1:
        raise TransferError(
            Reason.UNSAFE_IMAGE,
            f"the content matches several formats at once: {', '.join(sorted(by_name))}",
        )
    return next(iter(by_name.values()))


def failures(
    error: format_inspector.SafetyCheckFailed, name: str, declared: DiskFormat | None
) -> str:
    """Return which of Glance's checks fail and why; empty: none that counts for this format.

    A kernel may have the signature of a boot sector where that has no table of partitions.

    Args:
        error: Of the inspector.
        name: The inspector's.
        declared: The format that the bytes are declared as.
    """
    forgiven = {"mbr"} if name == "gpt" and declared in NOT_DISKS else set()
    return "; ".join(
        f"{why} (Glance's check {check!r} of {name})"
        for check, why in error.failures.items()
        if check not in forgiven
    )


def check_result(
    shape: DiskFormat,
    container: str,
    contents: Callable[[], Generator[bytes, None, None]],
    *,
    converted: bool,
) -> None:
    """Refuse bytes that Glance would refuse at the end of their upload.

    Args:
        shape: Glance's disk format of the image.
        container: Its container format.
        contents: Returns the bytes; only their beginning is read.
        converted: Whether they are other bytes than those of the source.

    Raises:
        TransferError: ``UnsafeImage`` or ``UnsupportedFormat``, and those of reading the bytes.
    """
    inspector = _inspector(contents) if container == _INSPECTED else None
    if inspector is None:
        return
    name, what = str(inspector), "converted image" if converted else "image"
    if shape not in {"raw", name} and (name != "raw" or shape in format_inspector.ALL_FORMATS):
        raise _mismatch(shape, name, what)
    try:
        inspector.safety_check()
    except format_inspector.SafetyCheckFailed as error:
        advice = "have the image made again without that"
        if name == "gpt":
            advice = (
                "have its partition table written again where it is made, or choose another "
                "diskFormat than raw, inside of which Glance does not look"
            )
        raise TransferError(
            Reason.UNSAFE_IMAGE,
            f"Glance would refuse the {what} as {shape}: {failures(error, name, shape)}; {advice}",
        ) from error


def _inspector(
    contents: Callable[[], Generator[bytes, None, None]],
) -> format_inspector.FileInspector | None:
    """Return the inspector of what the bytes are; None: only their end would tell.

    That is so for a VMDK with a footer, which is never one of ours: it was inspected as a source.
    """
    with closing(contents()) as chunks:
        # Iterated over, it takes any iterator; its annotation knows only of files.
        wrapper = format_inspector.InspectWrapper(cast("IO[bytes]", _pieces(chunks)))
        for number, _ in enumerate(wrapper, 1):
            if wrapper.formats is not None or number * _CHUNK >= _HEAD:
                break
        return None if wrapper.formats is None else only(wrapper.formats)


def _pieces(chunks: Iterable[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        for start in range(0, len(chunk), _CHUNK):
            yield chunk[start : start + _CHUNK]


def _mismatch(shape: DiskFormat, found: str, what: str) -> TransferError:
    if shape == "vhd":
        return TransferError(
            Reason.UNSUPPORTED_FORMAT,
            f"Glance would refuse the {what}: it knows a VHD by the copy of the footer at its "
            "beginning, which a fixed VHD does not have. Set spec.image.diskFormat to raw or "
            "another format that it is converted to, or give a dynamic VHD",
        )
    return TransferError(
        Reason.UNSUPPORTED_FORMAT,
        f"Glance would refuse the {what}: for its format inspector the content is {found}, and "
        f"not {shape}",
    )
