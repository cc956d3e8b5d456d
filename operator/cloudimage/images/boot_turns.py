"""Which boot tests have a server: a limited number at once, and no tenant above its share."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from kubernetes.client import ApiException
from pydantic import ValidationError
from urllib3.exceptions import HTTPError

from cloudimage.api.cloudimage import CloudImage
from cloudimage.controller.faults import without_text
from cloudimage.controller.logic.fairness import FairLine
from cloudimage.controller.tenants import tenants_of
from cloudimage.images.logic import boot_test_state
from cloudimage.kube import Key, Kube, key_of
from cloudimage.shard import WHOLE, Shard

logger = logging.getLogger(__name__)

LEASE_SECONDS: Final = 420.0
"""A turn of which nothing is heard for so long is over; the pauses while a cloud is away are
shorter."""
UNUSED_SECONDS: Final = 90.0
"""The same for a turn that has just come: who waits asks each minute."""


@dataclass
class BootTurns:
    """Gives turns by the UID of an object, which keeps its own while it is looked at.

    It is safe to share, and nothing waits in it: an object whose turn has come is queued.

    Attributes:
        places: How many tests have a server at once.
        notify: Puts a key into the queue, from any thread.
        clock: Seconds that only grow.
    """

    places: int
    notify: Callable[[Key], None]
    clock: Callable[[], float] = time.monotonic
    _line: FairLine[str] = field(init=False)
    _keys: dict[str, Key] = field(default_factory=dict)
    _ends: dict[str, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._line = FairLine(self.places)

    def numbers(self) -> dict[str, float]:
        """Return how many have a turn, and how many wait for one."""
        with self._lock:
            return {"running": self._line.taken, "waiting": self._line.waiting}

    def recover(self, kube: Kube, shard: Shard = WHOLE) -> None:
        """Count the tests of a shard that run already, before any other may begin.

        Where the API server does not tell, each is counted when it is looked at.
        """
        try:
            for each in kube.each(CloudImage):
                ours = shard.owns(each.metadata.namespace)
                if ours and not boot_test_state.is_clear(each.status.boot_test):
                    self.hold(each)
        except (ApiException, HTTPError, ValidationError) as error:
            logger.warning("boot tests that run are not counted yet", extra=without_text(error))

    def ask(self, resource: CloudImage) -> bool:
        """Return whether an object may begin now; if not, it waits, and is queued at its turn."""
        uid = resource.metadata.uid
        with self._lock:
            self._take_back(but=uid)
            if not self._line.has_place(uid):
                self._keys[uid] = key_of(resource)
                self._line.put(uid, tenants_of(resource))
            given = self._given()
            mine = self._line.has_place(uid)
            if mine:
                self._ends[uid] = self.clock() + LEASE_SECONDS
        self._tell(given, but=uid)
        return mine

    def hold(self, resource: CloudImage) -> None:
        """Give an object its turn, however many have one: its test runs already."""
        with self._lock:
            self._line.hold(resource.metadata.uid, tenants_of(resource))
            self._ends[resource.metadata.uid] = self.clock() + LEASE_SECONDS

    def release(self, uid: str) -> None:
        """Take back the turn of an object, or its place in the line; it may have neither."""
        with self._lock:
            self._keys.pop(uid, None)
            self._ends.pop(uid, None)
            self._line.discard(uid)
            self._line.release(uid)
            given = self._given()
        self._tell(given, but=uid)

    def _given(self) -> list[str]:
        given = []
        while found := self._line.take():
            given.append(found[0])
            self._ends[found[0]] = self.clock() + UNUSED_SECONDS
        return given

    def _take_back(self, but: str) -> None:
        """Take back the turns of objects that no longer come: their cloud is away, or they wait."""
        present = self.clock()
        for uid in [each for each, end in self._ends.items() if end <= present and each != but]:
            del self._ends[uid]
            self._line.release(uid)

    def _tell(self, given: list[str], but: str) -> None:
        for uid in given:
            key = self._keys.pop(uid, None)
            if uid != but and key is not None:
                self.notify(key)
