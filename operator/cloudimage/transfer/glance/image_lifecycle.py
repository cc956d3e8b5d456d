"""An image in Glance from its creation to its mark as verified, or nothing of it."""

import contextlib
import logging
import random
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from cloudimage.failpoints import Point, failpoint
from cloudimage.transfer.contract import Limits, NewImage, Reason, TransferError
from cloudimage.transfer.glance.client import Glance
from cloudimage.transfer.interrupts import Interrupts
from cloudimage.transfer.progress import Meter
from cloudimage.vocabulary.image import DiskFormat
from cloudimage.vocabulary.marks import Marks

MAX_ATTEMPTS: Final = 64
"""Ids tried for one image; see :func:`attempts`."""

DELETE_PAUSES: Final = (0.0, 1.0, 2.0, 4.0, 8.0)
"""Seconds before each attempt to delete an image: Glance may be restarting."""

DELETE_SECONDS: Final = 20.0
"""No attempt begins after so long: each may take its time-out."""

_NAMESPACE: Final = uuid.UUID("7d4cf8a5-3f0e-5b0c-9a52-0f6b1c1f7f0e")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class UploadContext:
    """Where the bytes go.

    Attributes:
        stores: Ids of Glance's stores; empty: its default.
        leftovers: Images that could not be deleted.
    """

    glance: Glance
    image: NewImage
    meter: Meter
    interrupts: Interrupts
    stores: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    leftovers: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Stored:
    """The image in Glance, and the hash by which its bytes were compared; sizes in bytes."""

    image_id: str
    disk_format: DiskFormat
    size: int
    hash_algo: str
    hash_value: str


def image_id(seed: str, attempt: int) -> str:
    """Return the id of an attempt to make the image of a seed."""
    return str(uuid.uuid5(_NAMESPACE, f"{seed}/{attempt}"))


def attempts(lot: tuple[str, int] | None = None) -> Iterator[int]:
    """Return the attempts whose ids to try: 0, 1, and one at random of each next 2, 4, 8, 16...

    Glance never gives the id of a deleted image again, and only creating an image tells whether
    its id is used. In order it would take as many requests as ids were used before, of which a
    broken store eats a thousand in days; so it takes about the binary logarithm of that.

    Args:
        lot: What the order follows from, so that it can be gone through again; None: chance.
    """
    numbers = random.Random(None if lot is None else "/".join(map(str, lot)))  # noqa: S311 - no secret
    yield 0
    for power in range(MAX_ATTEMPTS - 1):
        yield numbers.randrange(2**power, 2 ** (power + 1))


@contextlib.contextmanager
def created(
    target: UploadContext, shape: DiskFormat, attributes: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Create a queued image, private and hidden, and hand out its id.

    Whatever fails in the block, also an interrupt, deletes it.

    Args:
        target: Where.
        shape: Its disk format.
        attributes: What it is to be instead of private and ours.

    Raises:
        TransferError: ``InvalidImage``, ``Forbidden``, ``QuotaExceeded`` and the cloud's.
    """
    with contextlib.ExitStack() as undo:
        yield _create(target, shape, attributes or {}, undo)
        undo.pop_all()


def _create(
    target: UploadContext,
    shape: DiskFormat,
    attributes: Mapping[str, str],
    undo: contextlib.ExitStack,
) -> str:
    image = target.image
    for attempt in attempts(None if image.lot is None else (image.id_seed, image.lot)):
        identifier = image_id(image.id_seed, attempt)
        # Not to be broken off: the clean-up would look for an image that is made only then.
        with target.interrupts.deferred():
            # Before the request: it may create the image although we never see the answer.
            undo.callback(discard, target, identifier)
            body = {**new_image(image, identifier, shape), **attributes}
            was_created = target.glance.create(body)
            if not was_created:
                undo.pop_all()
        if was_created:
            failpoint(Point.CREATED, image.name)
            return identifier
    raise TransferError(
        Reason.CLOUD_ERROR, f"Glance rejected {MAX_ATTEMPTS} ids in a row as already used"
    )


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


def settle(target: UploadContext, identifier: str, image: dict[str, Any]) -> Stored:
    """Mark an image as verified, whose bytes were compared with what they must be.

    Args:
        target: Where it is.
        identifier: Its id.
        image: What Glance shows of it.

    Raises:
        TransferError: ``InvalidImage``, ``Forbidden`` and the cloud's.
    """
    algorithm, value = image["os_hash_algo"], image["os_hash_value"]
    failpoint(Point.STORED, target.image.name)
    target.glance.set_property(identifier, Marks.VERIFIED, f"{algorithm}:{value}")
    failpoint(Point.MARKED, target.image.name)
    return Stored(identifier, image["disk_format"], image["size"], algorithm, value)


def discard(target: UploadContext, identifier: str) -> None:
    """Delete an image that was not finished; failing that, note it down."""
    deadline = time.monotonic() + DELETE_SECONDS
    with target.interrupts.deferred():
        for pause in DELETE_PAUSES:
            if time.monotonic() + pause > deadline:
                break
            time.sleep(pause)
            try:
                target.glance.delete(identifier)
            except TransferError as error:
                _log.warning("cannot delete image %s: %s", identifier, error.message)
            else:
                return
        _log.error("image %s is left behind", identifier)
        target.leftovers.append(identifier)


def discard_leftovers(target: UploadContext) -> None:
    """Try again to delete what could not be deleted, now that some time has passed."""
    leftovers, target.leftovers[:] = list(target.leftovers), []
    for identifier in leftovers:
        discard(target, identifier)
