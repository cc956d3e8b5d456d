"""Reports unexpected exceptions without secrets: the class, and where it was raised.

The text of such an exception may hold anything, also a password.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from http import HTTPStatus
from traceback import extract_tb
from typing import Any, Final

from kubernetes.client import ApiException
from urllib3.exceptions import HTTPError

from cloudimage.api.meta import ApiModel, ObjectMeta, Resource, ResourceStatus
from cloudimage.controller.logic.events import of_transitions
from cloudimage.controller.logic.fault_status import after_fault, conditions_of
from cloudimage.kube import Key, Kube
from cloudimage.plaintext import plain

logger = logging.getLogger(__name__)

_NAME_BYTES: Final = 100
_FRAMES: Final = 12
_PASSING: Final = frozenset(
    {HTTPStatus.UNAUTHORIZED, HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS}
)


def name_of(error: BaseException) -> str:
    """Return the exception's class, with the status of an answer of the API server."""
    name = plain(type(error).__name__, _NAME_BYTES)
    status = _status(error)
    return f"{name}, status {status}" if status else name


def without_text(error: BaseException) -> dict[str, Any]:
    """Return what to log of an exception, as a record's extra fields."""
    frames = extract_tb(error.__traceback__)[-_FRAMES:]
    return {
        "fault": name_of(error),
        "where": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    }


def passes(error: BaseException) -> bool:
    """Return whether an exception is of an API server that is away or busy, so no fault of ours."""
    if isinstance(error, HTTPError):
        return True
    status = _status(error)
    return status is not None and (
        status == 0 or status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _PASSING
    )


def _status(error: BaseException) -> int | None:
    """Return the HTTP status of the API server's answer; 0 without an answer."""
    return int(error.status or 0) if isinstance(error, ApiException) else None


@dataclass(frozen=True)
class FaultTeller:
    """Tells of faults of the reconciler of one kind, in conditions and Events."""

    kube: Kube
    model: type[Resource]

    def __call__(self, key: Key, error: BaseException) -> None:
        """Write the condition Stalled; nothing when the API server is away, or the object gone.

        Raises:
            ApiException: It could not be written.
            HTTPError: The API server did not answer.
        """
        if passes(error):
            return
        thing = self.kube.read_raw(self.model, key)
        if thing is None:
            return
        before = conditions_of(thing)
        status = after_fault(thing, name_of(error), datetime.now(UTC))
        # Without the spec's and the status' types: they may be what is not understood.
        resource = self.model.model_construct(
            metadata=ObjectMeta.model_validate(thing["metadata"]),
            spec=ApiModel(),
            status=ResourceStatus(),
        )
        self.kube.write_raw_status(self.model, key, {**thing, "status": status})
        for event in of_transitions(before, conditions_of({"status": status})):
            self.kube.post_event(resource, event)


Handler = Callable[..., Awaitable[None]]


def surviving(handler: Handler) -> Handler:
    """Return an event handler that logs what it does not expect, also what would end the loop.

    ``CancelledError``, ``GeneratorExit`` and ``KeyboardInterrupt`` are the loop's own.
    """

    @wraps(handler)
    async def handle(*args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # kopf's, passed on
        try:
            await handler(*args, **kwargs)
        except (Exception, SystemExit) as error:  # noqa: BLE001  # logged without its text
            logger.error("an event was not understood", extra=without_text(error))  # noqa: TRY400 - its text may hold secrets

    return handle
