"""Waits for what Glance does on its own: storing, importing, copying to stores.

Glance says little meanwhile: an image's status, which stores are still to be filled, and in the
task of an import a message now and then. An image whose worker died stays as it is for ever.
"""

import time
from collections.abc import Callable
from typing import Any, Final

from cloudimage.transfer.contract import Reason, TransferError
from cloudimage.transfer.glance.client import Glance
from cloudimage.transfer.glance.errors import FaultError

OUTAGE_SECONDS: Final = 60.0
"""How long Glance may be away, or fail to answer questions, while it works for us."""

MAX_SECONDS: Final = 12 * 3600.0
"""How long Glance may be at work at all, however many signs of life it gives."""

_POLL_SECONDS: Final = 0.5
_BUSY: Final = frozenset({"saving", "uploading", "importing"})
_UNFINISHED: Final = frozenset({"pending", "processing"})
_WORDS: Final = {
    "image is too large": Reason.IMAGE_TOO_LARGE,
    "over limit": Reason.QUOTA_EXCEEDED,
    "quota": Reason.QUOTA_EXCEEDED,
    "limit exceeded": Reason.QUOTA_EXCEEDED,
    "storagefull": Reason.QUOTA_EXCEEDED,
    "storage media is full": Reason.QUOTA_EXCEEDED,
}
"""What an import's task says, in lower case, by what it means."""

Image = dict[str, Any]
Task = dict[str, Any]


def wait_until_stored(
    glance: Glance,
    identifier: str,
    silence: float,
    stores: tuple[str, ...] = (),
    *,
    on_task: Callable[[Task], None] | None = None,
) -> Image:
    """Wait until an image is active and in all the stores, and return it.

    Args:
        glance: The image service.
        identifier: The image's id.
        silence: Seconds without any change after which Glance's worker counts as dead.
        stores: Where it is to be; empty: anywhere.
        on_task: Shown each state of the import's task; None when no import fills the image.

    Raises:
        TransferError: ``UploadFailed``, ``QuotaExceeded`` and the cloud's.
    """
    patience = _Patience(silence)
    answered = time.monotonic()
    importing = False
    while True:
        try:
            image = glance.show(identifier)
            task = glance.newest_task(identifier) if on_task else None
        except TransferError as error:
            passing = error.reason is Reason.CLOUD_UNREACHABLE or isinstance(error, FaultError)
            if not passing or time.monotonic() - answered > OUTAGE_SECONDS:
                raise
        else:
            answered = time.monotonic()
            if task and on_task:
                on_task(task)
            if is_stored(image, stores):
                return image
            importing |= image["status"] == "importing"
            waiting = on_task is not None and not importing
            if (why := failure(image, task, stores, waiting=waiting)) is not None:
                raise why
            patience.note(image, task)
        time.sleep(_POLL_SECONDS)


class _Patience:
    """Ends when nothing new was seen for too long."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._seen: object = None
        self._since = self._began = time.monotonic()

    def note(self, image: Image, task: Task | None) -> None:
        """Record what is seen now.

        Raises:
            TransferError: ``UploadFailed`` when it has been the same for too long.
        """
        at_work = task and (task["status"], task.get("message"), task.get("updated_at"))
        seen = (image["status"], image.get("updated_at"), at_work)
        if time.monotonic() - self._began > MAX_SECONDS:
            raise TransferError(
                Reason.UPLOAD_FAILED,
                f"the image is still {image['status']} after {MAX_SECONDS / 3600:g} hours",
            )
        if seen != self._seen:
            self._seen, self._since = seen, time.monotonic()
        elif time.monotonic() - self._since > self._limit:
            raise TransferError(
                Reason.UPLOAD_FAILED,
                f"the image is {image['status']}, and Glance made no progress for {self._limit:g} "
                "s",
            )


def is_stored(image: Image, stores: tuple[str, ...]) -> bool:
    """Return whether an image is active, in the stores and in no other's making."""
    return (
        image["status"] == "active"
        and not image.get("os_glance_importing_to_stores")
        and set(stores) <= set(_words(image, "stores"))
    )


def failure(
    image: Image, task: Task | None, stores: tuple[str, ...], *, waiting: bool
) -> TransferError | None:
    """Return why an image will never be stored; None as long as it may.

    Args:
        image: What Glance shows.
        task: The newest task of its import, if there is one.
        stores: Where the image is to be.
        waiting: An import was asked for that has not been seen to begin.
    """
    if task and task["status"] == "failure":
        return _failed(image, task.get("message") or "")
    status = image["status"]
    if status in _BUSY or (task and task["status"] in _UNFINISHED):
        return None
    if status == "queued" and waiting and not task and not image.get("os_glance_failed_import"):
        return None
    if status == "active":
        if image.get("os_glance_importing_to_stores"):
            return None
        missing = sorted(set(stores) - set(_words(image, "stores")))
        return _failed(image, f"it is not in {', '.join(missing)}")
    return _failed(image, f"Glance dropped the bytes: the image is {status}")


def _failed(image: Image, said: str) -> TransferError:
    stores = _words(image, "os_glance_failed_import")
    where = f" (into {', '.join(stores)})" if stores else ""
    words = said.lower()
    reason = next((why for word, why in _WORDS.items() if word in words), Reason.UPLOAD_FAILED)
    return TransferError(
        reason,
        f"Glance could not store the image{where}: {said or 'it gives no reason'}",
    )


def _words(image: Image, name: str) -> list[str]:
    return [word for word in (image.get(name) or "").split(",") if word]
