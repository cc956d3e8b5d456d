"""What a source's Glance says of an image, and whether its bytes can be had; pure."""

import re
from typing import Final, Literal, cast, get_args

from pydantic import BaseModel, Field

from cloudimage.transfer.contract import Checksum, Limits, Reason, TransferError
from cloudimage.vocabulary.image import PACKAGES, DiskFormat

_COMING: Final = frozenset({"queued", "saving", "uploading", "importing"})
"""Statuses of an image that may yet become active (Image API v2, "Image Statuses")."""

_DIGITS: Final = {"sha512": 128, "sha256": 64, "blake2b": 128, "sha1": 40, "md5": 32}
_HEX: Final = re.compile(r"[0-9a-f]*")
_CONTENT_RANGE: Final = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19})")


class ShownImage(BaseModel):
    """An image as ``GET /v2/images/{id}`` has it (Image API v2, "Show image")."""

    id: str
    status: str
    size: int | None = Field(default=None, ge=0)
    disk_format: str | None = None
    container_format: str | None = None
    checksum: str | None = None
    os_hash_algo: str | None = None
    os_hash_value: str | None = None

    @property
    def expected(self) -> Checksum | None:
        """The strongest hash that Glance has of the bytes; ``checksum`` is always MD5."""
        return _checksum(self.os_hash_algo, self.os_hash_value) or _checksum("md5", self.checksum)


def _checksum(algorithm: str | None, value: str | None) -> Checksum | None:
    text = (value or "").lower()
    if algorithm not in _DIGITS or len(text) != _DIGITS[algorithm] or not _HEX.fullmatch(text):
        return None
    return Checksum.model_validate({"algorithm": algorithm, "value": text})


def size_and_format(image: ShownImage, limits: Limits) -> tuple[int, DiskFormat]:
    """Return the bytes of an image that can be read, and its disk format.

    Raises:
        TransferError: ``SourceNotFound``, ``SourceRefused``, ``SourceNotAnImage``,
            ``UnsupportedFormat`` or ``ImageTooLarge``.
    """
    _check_status(image)
    if not image.size:
        raise TransferError(
            Reason.SOURCE_NOT_AN_IMAGE,
            f"image {image.id} of the source cloud has no bytes of its own: it is, for example, "
            "that of a volume's snapshot. Make an image of the volume, and name that",
        )
    if image.size > limits.max_download:
        raise TransferError(
            Reason.IMAGE_TOO_LARGE,
            f"the source has {image.size} bytes, over the download limit of "
            f"{limits.max_download} bytes",
        )
    if image.disk_format not in get_args(DiskFormat) or image.container_format in PACKAGES:
        raise TransferError(
            Reason.UNSUPPORTED_FORMAT,
            f"image {image.id} of the source cloud cannot be copied: its file is no plain disk "
            f"(disk format {_shown(image.disk_format)}, container format "
            f"{_shown(image.container_format)})",
        )
    return image.size, cast("DiskFormat", image.disk_format)


def _check_status(image: ShownImage) -> None:
    if image.status == "active":
        return
    if image.status == "deactivated":
        raise TransferError(
            Reason.SOURCE_REFUSED,
            f"image {image.id} of the source cloud is deactivated; ask that cloud's "
            "administrators to reactivate it",
        )
    outlook = (
        "it is not complete yet" if image.status in _COMING else "its bytes are lost; name another"
    )
    raise TransferError(
        Reason.SOURCE_NOT_FOUND,
        f"image {image.id} of the source cloud has the status {_shown(image.status)}: {outlook}",
    )


def _shown(text: str | None) -> str:
    """Return a word of the source's Glance for a message; it may be anything."""
    return text if text and re.fullmatch(r"[\w.-]{1,32}", text) else "unknown"


Place = Literal["beginning", "rest"]


def place(status: int, content_range: str | None, start: int, size: int) -> Place | None:
    """Return where an answer's body begins that was asked for the bytes from ``start`` on.

    To a range that ends with the image Glance answers with 206, without Content-Range and with
    the Content-Length of the whole image (glance/api/v2/image_data.py, ``download()``): there the
    status alone must do.

    Returns:
        None: The answer has neither all bytes nor the ones from ``start`` on.
    """
    if status == 200:  # noqa: PLR2004  # HTTP's OK
        return "beginning"
    if status != 206:  # noqa: PLR2004  # HTTP's Partial Content
        return None
    if content_range is None:
        return "rest"
    found = _CONTENT_RANGE.fullmatch(content_range.strip())
    if found is None or (int(found[1]), int(found[3])) != (start, size):
        return None
    return "rest"
