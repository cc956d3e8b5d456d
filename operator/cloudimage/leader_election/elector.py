"""One of several operators acts: the one that holds the Lease. The others stand by.

Why not the client library's own: see docs/decisions/0018-leader-election.md.
"""

import logging
import os
import random
import signal
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final, Protocol

from cloudimage.leader_election import rules
from cloudimage.leader_election.lease_client import API_ERRORS, Leases
from cloudimage.leader_election.rules import Lease, Step, Terms, View

logger = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 1.0
_TAKING: Final = frozenset({Step.CREATE, Step.TAKE, Step.RENEW})
"""Also RENEW: an earlier request may have come through although its answer did not."""


def clock() -> float:
    """Return seconds that go on while the machine is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass
class Leadership:
    """This process's part in the competition for the Lease.

    Attributes:
        me: Its name in the Lease, which no other process ever has.
    """

    leases: Leases
    me: str = field(default_factory=lambda: f"{socket.gethostname()}_{uuid.uuid4()}")
    _view: View | None = None
    _others: dict[str, View] = field(default_factory=dict)
    _renewed: float = 0.0
    _done: threading.Event = field(default_factory=threading.Event)
    _threads: tuple[threading.Thread, ...] = ()

    @property
    def terms(self) -> Terms:
        """Which Lease, and its times."""
        return self.leases.terms

    def acquire(self, stopping: threading.Event) -> bool:
        """Wait until this process holds the Lease; return False when it is to stop before that."""
        told: Lease | None = None
        while not stopping.is_set():
            try:
                other = self._take()
                if other is None:
                    logger.info("leading", extra={"lease": self.terms.name, "identity": self.me})
                    return True
                if told is None or (other.name, other.holder) != (told.name, told.holder):
                    told = other
                    logger.info("standing by", extra={"lease": told.name, "holder": told.holder})
            except API_ERRORS as error:
                logger.warning("the Lease could not be acquired", extra={"error": str(error)})
            # Not all at the same time: of two divisions that begin at once each sees the other.
            stopping.wait(self.terms.retry * random.uniform(0.75, 1.25))  # noqa: S311  # no secret
        return False

    def _take(self) -> Lease | None:
        """Take the Lease; return None once it is ours, else the one by which somebody may act."""
        if (other := self._excluding()) is not None:
            return other
        if self._try(_TAKING) is Step.WAIT and self._view is not None:
            return self._view.lease
        # Again: whoever began meanwhile sees our Lease, or we see theirs.
        if (other := self._excluding()) is not None:
            self._give_back()
        return other

    def _excluding(self) -> Lease | None:
        """Return a Lease of another division by which somebody may act, or None.

        One that has run out is taken from its holder, who finds that out should it go on.
        """
        for found in self.leases.read_all():
            if not (self.terms.excludes(found.name) and found.holder):
                continue
            now = clock()
            view = rules.seen(self._others.get(found.name), found, now) or View(found, now)
            self._others[found.name] = view
            if view.valid(now):
                return found
            self.leases.replace(rules.released(found, datetime.now(UTC)))
        return None

    def keep(self, lost: Callable[[str], None]) -> None:
        """Renew the Lease from now on.

        Args:
            lost: Called, with the reason, when another one may act soon or acts: it ends this
                process at once. It comes from a thread of its own, whatever a request hangs in.
        """
        self._threads = (
            threading.Thread(target=self._renew, args=(lost,), name="lease", daemon=True),
            threading.Thread(target=self._watch, args=(lost,), name="lease-watch", daemon=True),
        )
        for thread in self._threads:
            thread.start()

    def release(self) -> None:
        """Give the Lease back, so that the next one need not wait; this process has stopped."""
        self._done.set()
        for thread in self._threads:
            thread.join()
        try:
            self._give_back()
        except API_ERRORS as error:
            logger.warning("the Lease is not released: it will expire", extra={"error": str(error)})

    def _give_back(self) -> None:
        found = self.leases.read()
        if found is not None and found.holder == self.me:
            self.leases.replace(rules.released(found, datetime.now(UTC)))

    def _try(self, allowed: frozenset[Step]) -> Step:
        """Look at the Lease, write it if that is allowed, and return what was to be done."""
        began = clock()
        found = self.leases.read()
        now = clock()
        self._view = rules.seen(self._view, found, now)
        step = rules.step(self.me, found, self._view, now)
        if step in allowed:
            body = rules.held(found, self.me, self.terms, datetime.now(UTC))
            (self.leases.replace if found else self.leases.create)(body)
            self._renewed = began
        return step

    def _renew(self, lost: Callable[[str], None]) -> None:
        while not self._done.wait(self.terms.retry):
            try:
                if self._try(frozenset({Step.RENEW})) is not Step.RENEW:
                    lost("another process holds it now")
                    return
            except API_ERRORS as error:
                logger.warning("the Lease could not be renewed", extra={"error": str(error)})

    def _watch(self, lost: Callable[[str], None]) -> None:
        while (left := self._renewed + self.terms.renew_within - clock()) > 0:
            if self._done.wait(min(left, _LOOK_SECONDS)):
                return
        lost(f"it could not be renewed for {self.terms.renew_within:g} s")


class Led(Protocol):
    """What only the holder of the Lease runs."""

    def run(self) -> None:
        """Run until the process is told to stop, and leave nothing running."""

    def abandon(self) -> None:
        """End at once all that acts besides this process."""


def lead(terms: Terms, probe_address: str | None, made: Callable[[], Led]) -> None:
    """Stand by until this process holds the Lease, then run what is made, until told to stop.

    Without the Lease the process ends at once, with status 1.
    """
    leadership = Leadership(Leases(terms))
    with _told_to_stop() as stopping, _probe(probe_address):
        if not leadership.acquire(stopping):
            return
    led = made()

    def lost(why: str) -> None:
        led.abandon()
        logger.critical("the Lease is lost, ending at once: %s", why)
        # No cleanup any longer: another operator may act.
        os._exit(1)

    leadership.keep(lost)
    led.run()
    leadership.release()


@contextmanager
def _told_to_stop() -> Iterator[threading.Event]:
    """Yield what is set when the process is told to stop; as PID 1 it would hear nothing of it."""
    stopping = threading.Event()
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, lambda *_: stopping.set()) for number in numbers}
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _probe(address: str | None) -> Iterator[None]:
    """Answer the probes while standing by; kopf does so afterwards, at the same address."""
    if address is None:
        yield
        return
    host, _, port = address.rpartition(":")
    with ThreadingHTTPServer((host.strip("[]"), int(port)), _Healthy) as server:
        thread = threading.Thread(target=server.serve_forever, name="probe", daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


class _Healthy(BaseHTTPRequestHandler):
    """Says to everybody that the process is there."""

    def do_GET(self) -> None:
        """Answer as kopf does."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its base's name
        """Keep quiet."""
