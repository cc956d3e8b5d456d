"""Makes the Glance image: created, filled, compared, and marked as verified; or nothing at all."""

import contextlib
import hashlib
import logging
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

from cloudimage.transfer.convert import Chunks, Payload
from cloudimage.transfer.glance import Glance
from cloudimage.transfer.interrupts import Interrupts
from cloudimage.transfer.progress import Meter
from cloudimage.transfer.types import Marks, NewImage, Reason, Stage, TransferError
from cloudimage.vocabulary import DiskFormat

MAX_ATTEMPTS: Final = 1000
"""Ids tried: Glance never gives the id of a deleted image again."""

ACTIVE_SECONDS: Final = 600.0
"""How long an image may take to become active after its bytes were accepted."""

_POLL_SECONDS: Final = 0.5
_DELETE_ATTEMPTS: Final = 3
_NAMESPACE: Final = uuid.UUID("7d4cf8a5-3f0e-5b0c-9a52-0f6b1c1f7f0e")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Uploaded:
    """The image in Glance, and the hash by which its bytes were compared."""

    image_id: str
    hash_algo: str
    hash_value: str


def image_id(seed: str, attempt: int) -> str:
    """Return the id of an attempt to make the image of a seed."""
    return str(uuid.uuid5(_NAMESPACE, f"{seed}/{attempt}"))


def upload(
    glance: Glance, image: NewImage, payload: Payload, meter: Meter, interrupts: Interrupts
) -> Uploaded:
    """Upload the payload as a new image, private and hidden.

    Whatever fails after the image was created, also an interrupt, deletes it.

    Raises:
        TransferError: ``UploadFailed``, ``UploadMismatch`` and those of :class:`Glance`.
    """
    meter.start(Stage.UPLOADING, payload.size)
    with contextlib.ExitStack() as undo:
        identifier = _create(glance, image, payload.format, undo, interrupts)
        body = HashedBody(payload, meter)
        glance.send(identifier, body)
        stored = _wait_until_active(glance, identifier)
        algorithm, value = _compare(stored, payload, body.sha512)
        glance.set_property(identifier, Marks.VERIFIED, f"{algorithm}:{value}")
        undo.pop_all()
    return Uploaded(identifier, algorithm, value)


class HashedBody:
    """The body of a request: the payload's bytes, counted and hashed as they are sent, once.

    Attributes:
        sha512: The hash so far.
    """

    def __init__(self, payload: Payload, meter: Meter) -> None:
        self._payload = payload
        self._meter = meter
        self._used = False
        self.sha512 = hashlib.sha512()

    def __len__(self) -> int:
        return self._payload.size

    def __iter__(self) -> Iterator[bytes]:
        if self._used:
            # The libraries below repeat a request after a redirect or a refused token.
            raise TransferError(
                Reason.UPLOAD_FAILED, "Glance wants the image a second time instead of taking it"
            )
        self._used = True
        sent = 0
        with closing(self._payload.open()) as chunks:
            for chunk in chunks:
                self.sha512.update(chunk)
                yield chunk
                sent += len(chunk)
                self._meter.count(sent)


def new_image(image: NewImage, identifier: str, shape: DiskFormat) -> dict[str, Any]:
    """Return the body of ``POST /v2/images``."""
    sizes = {"min_disk": image.min_disk, "min_ram": image.min_ram}
    return {
        **image.properties,
        Marks.IMAGE_ID.value: identifier,
        "id": identifier,
        "name": image.name,
        "disk_format": shape,
        "container_format": image.container_format,
        "visibility": "private",
        "os_hidden": True,
        "tags": list(image.tags),
        **{name: size for name, size in sizes.items() if size is not None},
    }


def _create(
    glance: Glance,
    image: NewImage,
    shape: DiskFormat,
    undo: contextlib.ExitStack,
    interrupts: Interrupts,
) -> str:
    for attempt in range(MAX_ATTEMPTS):
        identifier = image_id(image.id_seed, attempt)
        # Not to be broken off: the clean-up would look for an image that is made only then.
        with interrupts.deferred():
            # Before the request: it may create the image although we never see the answer.
            undo.callback(_discard, glance, identifier, interrupts)
            created = glance.create(new_image(image, identifier, shape))
            if not created:
                undo.pop_all()
        if created:
            return identifier
    raise TransferError(
        Reason.CLOUD_ERROR, f"{MAX_ATTEMPTS} images of this source were made and deleted before"
    )


def _discard(glance: Glance, identifier: str, interrupts: Interrupts) -> None:
    with interrupts.deferred():
        for attempt in range(_DELETE_ATTEMPTS):
            time.sleep(attempt)
            try:
                glance.delete(identifier)
            except TransferError as error:
                _log.warning("cannot delete image %s: %s", identifier, error.message)
            else:
                return
        _log.error("image %s is left behind", identifier)


def _wait_until_active(glance: Glance, identifier: str) -> dict[str, Any]:
    deadline = time.monotonic() + ACTIVE_SECONDS
    while (stored := glance.show(identifier))["status"] != "active":
        if stored["status"] not in {"saving", "importing", "uploading"}:
            raise TransferError(
                Reason.UPLOAD_FAILED, f"Glance dropped the bytes: the image is {stored['status']}"
            )
        if time.monotonic() > deadline:
            raise TransferError(
                Reason.UPLOAD_FAILED,
                f"the image is not active {ACTIVE_SECONDS:g} s after its upload",
            )
        time.sleep(_POLL_SECONDS)
    return stored


def _compare(stored: dict[str, Any], payload: Payload, sha512: Any) -> tuple[str, str]:  # noqa: ANN401 - hashlib's type has no name
    """Compare what Glance says of its bytes with what was sent.

    Returns:
        The algorithm and the hash, in hexadecimal.
    """
    algorithm, theirs = stored["os_hash_algo"], stored["os_hash_value"]
    ours = sha512 if algorithm == "sha512" else hash_of(payload.open(), algorithm)
    if stored["size"] != payload.size or theirs != ours.hexdigest():
        raise TransferError(
            Reason.UPLOAD_MISMATCH,
            f"Glance has {stored['size']} bytes with {algorithm} {theirs}, "
            f"sent were {payload.size} with {ours.hexdigest()}",
        )
    return algorithm, theirs


def hash_of(chunks: Chunks, algorithm: str) -> Any:  # noqa: ANN401 - hashlib's type has no name
    """Hash a payload's bytes.

    Raises:
        TransferError: ``UploadFailed`` for an algorithm that is not known here.
    """
    try:
        found = hashlib.new(algorithm, usedforsecurity=False)
    except ValueError as error:
        raise TransferError(
            Reason.UPLOAD_FAILED, f"Glance hashes by {algorithm}, which is not known here"
        ) from error
    with closing(chunks):
        for chunk in chunks:
            found.update(chunk)
    return found
