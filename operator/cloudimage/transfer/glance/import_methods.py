"""The methods by Glance's import: ``GlanceDirect``, ``WebDownload``, and copies to more stores."""

import re
from functools import partial
from pathlib import Path
from typing import Any, Final

from cloudimage.failpoints import Point, failpoint
from cloudimage.sizes import exact_text, size_text
from cloudimage.transfer.contract import Checksum, Reason, Source, Stage, TransferError
from cloudimage.transfer.glance.hashed_body import HashedBody, compare, hash_of
from cloudimage.transfer.glance.image_lifecycle import Stored, UploadContext, created, settle
from cloudimage.transfer.glance.quota import Quota, check_quota
from cloudimage.transfer.glance.resend import repeated, send
from cloudimage.transfer.glance.wait import wait_until_stored
from cloudimage.transfer.image.conversion import Payload
from cloudimage.transfer.image.inspection import look
from cloudimage.transfer.source.http.model import HttpSource
from cloudimage.transfer.source.http.rules import looks_like_page
from cloudimage.transfer.verify.verification import check_pinned
from cloudimage.vocabulary.image import DiskFormat

_HEAD: Final = 4 * 2**20
_TAIL: Final = 64 * 2**10
_COPIED: Final = re.compile(r"Copied (\d+) MiB")


def glance_direct(target: UploadContext, staged: Payload, wanted: Payload) -> Stored:
    """Stage bytes and have Glance import them.

    Args:
        target: Where to.
        staged: What is sent.
        wanted: What Glance must hold afterwards: the same, or what its conversion makes of it.

    Raises:
        TransferError: ``MethodUnavailable`` if Glance makes another format of it,
            ``QuotaExceeded``, ``UploadFailed``, ``UploadMismatch`` and the cloud's.
    """
    stored = wanted.size * max(1, len(target.stores))
    check_quota(target.glance.usage(), {Quota.STAGED: staged.size, Quota.STORED: stored})
    return repeated(target, partial(_glance_direct, target, staged, wanted))


def _glance_direct(target: UploadContext, staged: Payload, wanted: Payload) -> Stored:
    target.meter.start(Stage.UPLOADING, staged.size)
    with created(target, staged.format) as identifier:
        body = HashedBody(staged, target.meter, target.image.name)
        send(partial(target.glance.stage, identifier), body, answer=True)
        size = target.glance.show(identifier)["size"]
        if size not in {None, staged.size}:
            raise TransferError(
                Reason.UPLOAD_MISMATCH,
                f"Glance staged {exact_text(size)}, but {exact_text(staged.size)} were sent",
            )
        failpoint(Point.STAGED, target.image.name)
        target.glance.start_import(identifier, {"name": "glance-direct"}, target.stores)
        # Our own conversion, for its hash alone; it takes no time of its own beside Glance's.
        sha512 = body.sha512 if wanted is staged else hash_of(wanted.open(), "sha512")
        image = _wait(target, identifier)
        _check_format(image, wanted.format)
        compare(image, wanted, sha512)
        return settle(target, identifier, image)


def web_download(
    target: UploadContext, source: Source, folder: Path, pinned: Checksum | None = None
) -> tuple[Stored, int]:
    """Let Glance fetch the source itself.

    Args:
        target: Where to.
        source: What to fetch; :func:`.methods.web_obstacle` has no objection.
        folder: To look at the image's head in.
        pinned: Checksum of the file that an image was made from before.

    Returns:
        The image and its virtual size in bytes.

    Raises:
        TransferError: ``MethodUnavailable``, ``ChecksumMismatch``, ``SourceChanged``,
            ``SourceNotAnImage``,
            ``UnsafeImage``, ``ImageTooLarge``, ``UploadFailed`` and the cloud's.
    """
    shape = source.format or target.image.disk_format
    if shape is None or not isinstance(source, HttpSource):
        raise TransferError(Reason.METHOD_UNAVAILABLE, "Glance needs a URL and the source's format")
    target.meter.start(Stage.UPLOADING)
    with created(target, shape) as identifier:
        method = {"name": "web-download", "uri": source.url}
        target.glance.start_import(identifier, method, target.stores)
        image = _wait(target, identifier)
        _check_format(image, target.image.disk_format or shape)
        _check_sum(image, source.checksum)
        check_pinned(pinned, _hashes(image))
        if image["size"] > target.limits.max_download:
            raise TransferError(
                Reason.IMAGE_TOO_LARGE,
                f"the image has {exact_text(image['size'])}, over the limit of "
                f"{size_text(target.limits.max_download)}",
            )
        target.meter.start(Stage.INSPECTING)
        virtual_size = _look(target, identifier, image, folder / "head")
        return settle(target, identifier, image), virtual_size


def copy_to_stores(target: UploadContext, identifier: str, stores: tuple[str, ...]) -> None:
    """Have Glance copy an active image to more stores.

    Raises:
        TransferError: ``Forbidden``, ``QuotaExceeded``, ``UploadFailed`` and the cloud's.
    """
    if stores:
        target.glance.start_import(identifier, {"name": "copy-image"}, stores)
        _wait(target, identifier)


def _wait(target: UploadContext, identifier: str) -> dict[str, Any]:
    def note(task: dict[str, Any]) -> None:
        if copied := _COPIED.search(task.get("message") or ""):
            target.meter.count(int(copied[1]) * 2**20)

    silence = target.limits.silence_seconds
    return wait_until_stored(target.glance, identifier, silence, target.stores, on_task=note)


def _check_format(image: dict[str, Any], wanted: DiskFormat) -> None:
    if image["disk_format"] != wanted:
        raise TransferError(
            Reason.METHOD_UNAVAILABLE,
            f"Glance's import converts the image to {image['disk_format']} instead of {wanted}, as "
            "its image_conversion plugin is configured; with the method Upload the operator "
            "converts",
        )


def _check_sum(image: dict[str, Any], checksum: Checksum | None) -> None:
    if checksum is None:
        return
    theirs = _hashes(image).get(checksum.algorithm)
    if theirs is None:
        raise TransferError(
            Reason.METHOD_UNAVAILABLE,
            f"Glance hashes with {image['os_hash_algo']}, so the {checksum.algorithm} checksum "
            "cannot be verified without the bytes; use the method Upload",
        )
    if theirs != checksum.value:
        raise TransferError(
            Reason.CHECKSUM_MISMATCH,
            f"the {checksum.algorithm} of the {exact_text(image['size'])} that Glance fetched is "
            f"{theirs}, expected {checksum.value}",
        )


def _hashes(image: dict[str, Any]) -> dict[str, str | None]:
    return {"md5": image.get("checksum"), image["os_hash_algo"]: image["os_hash_value"]}


def _look(target: UploadContext, identifier: str, image: dict[str, Any], path: Path) -> int:
    """Inspect what Glance fetched, by its two ends; return its virtual size."""
    size = image["size"]
    begin = max(0, size - _TAIL)
    head = (size and target.glance.read(identifier, 0, min(size, _HEAD))) or b""
    if not head or looks_like_page(head[:1024]):
        raise TransferError(
            Reason.SOURCE_NOT_AN_IMAGE, "Glance fetched an empty file or a web page, not an image"
        )
    with path.open("wb") as file:
        file.truncate(size)
        file.write(head)
        if begin > _HEAD and (tail := target.glance.read(identifier, begin, _TAIL)):
            file.seek(begin)
            file.write(tail)

    def read(offset: int, length: int) -> bytes:
        return target.glance.read(identifier, offset, length) or b""

    found = look(path, image["disk_format"], target.image.min_disk, target.limits, read)
    path.unlink()
    return found.virtual_size
