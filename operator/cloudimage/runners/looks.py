"""Looks at sources, each in a process of its own, as transfers are: lists from outside are hostile.

They run beside the operator, whatever runs the transfers: a look takes a second, and a list that is
kept in the scratch serves all objects.
"""

import logging
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from cloudimage.controller.faults import name_of, without_text
from cloudimage.controller.logic.fairness import Tenants
from cloudimage.runners.base import failure
from cloudimage.runners.child import FOLDER_PREFIX
from cloudimage.runners.fork_client import Process
from cloudimage.runners.processes import end, events_of
from cloudimage.runners.turns import Turns
from cloudimage.transfer.contract import Failure, Latest, Reason, Stage
from cloudimage.transfer.request import LookRequest

logger = logging.getLogger(__name__)

MAX_SECONDS: Final = 600.0
"""After which a look is ended: it reads a few lists, each within two minutes."""


@dataclass
class Look:
    """A look at the source of an object.

    Attributes:
        selector: Of the source that is looked at.
        outcome: What was found; None: it runs, or waits for its turn.
        process: That looks, once it runs.
    """

    selector: str
    outcome: Latest | Failure | None = None
    process: Process | None = None


@dataclass
class Looks:
    """The looks of an operator, by the UID of their object; safe to share.

    Attributes:
        spawn: Starts a process that reads a request and writes events.
        places: How many run at once.
    """

    spawn: Callable[[], Process]
    places: int = 2
    _looks: dict[str, Look] = field(default_factory=dict, init=False)
    _turns: Turns = field(init=False)

    def __post_init__(self) -> None:
        self._turns = Turns(self.places, "look")

    def view(self, uid: str) -> Look | None:
        """Return the look of an object, running or ended, or None."""
        return self._looks.get(uid)

    def forget(self, uid: str) -> None:
        """Drop the look of an object, whether it has ended or not."""
        self._turns.cancel(uid)
        self._looks.pop(uid, None)

    def start(
        self,
        uid: str,
        selector: str,
        request: LookRequest,
        notify: Callable[[], None],
        tenants: Tenants,
    ) -> None:
        """Start a look, or have it wait for its turn.

        Args:
            uid: The object's; it has no look yet.
            selector: Of the source.
            request: Which source to ask.
            notify: Called from another thread when it has ended.
            tenants: Who holds its place.
        """
        look = Look(selector)
        self._looks[uid] = look
        self._turns.add(uid, tenants, partial(self._work, look, request, notify))

    def stop(self) -> None:
        """Start nothing more, and end what runs: a look leaves nothing behind."""
        self._turns.stop(wait=False)
        for look in list(self._looks.values()):
            if look.process is not None:
                look.process.kill()

    def _work(self, look: Look, request: LookRequest, notify: Callable[[], None]) -> None:
        try:
            look.outcome = self._run(look, request)
        except Exception as error:  # noqa: BLE001 - it must have an outcome, whatever it is
            # Without its text, which may hold secrets.
            logger.error("a look could not be run", extra=without_text(error))  # noqa: TRY400 - its text may hold secrets
            look.outcome = _failed(f"the source could not be looked at ({name_of(error)})")
        notify()

    def _run(self, look: Look, request: LookRequest) -> Latest | Failure:
        # Temporary, so that one that was killed leaves no file either.
        with tempfile.TemporaryDirectory(prefix=FOLDER_PREFIX, dir=request.scratch) as folder:
            process = look.process = self.spawn()
            late = threading.Timer(MAX_SECONDS, process.kill)
            late.start()
            with process:
                try:
                    return _outcome(process, request.model_copy(update={"scratch": Path(folder)}))
                finally:
                    late.cancel()
                    end(process)


def _outcome(process: Process, request: LookRequest) -> Latest | Failure:
    for event in events_of(process, request):
        if isinstance(event, Latest | Failure):
            return event
    return _failed("the look at the source ended without a result")


def _failed(message: str) -> Failure:
    return failure(Reason.INTERNAL_ERROR, message, Stage.PENDING)
