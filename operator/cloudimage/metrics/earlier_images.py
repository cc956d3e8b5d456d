"""Who still uses earlier images, from what the watches have shown: no request is made."""

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

MOST_SERIES: Final = 200
"""Pairs of an image and a project that are named; the others are one sum."""

OTHERS: Final = "others"

_Users = dict[tuple[str, str], int]
"""Servers and volumes by image and project."""


class EarlierImageUsers(Collector):
    """Counts what was made from images that were replaced, by project; safe to share.

    The series are bounded: ids are not the user's to choose, but a cloud has many projects.
    """

    def __init__(self) -> None:
        self._objects: dict[str, _Users] = {}
        self._lock = threading.Lock()

    def update(self, uid: str, revisions: Iterable[Mapping[str, Any]]) -> None:
        """Record an object as it is now.

        Args:
            uid: Of the object.
            revisions: Those of its status, as the API server has them.
        """
        users = dict(_users(revisions))
        with self._lock:
            if users:
                self._objects[uid] = users
            else:
                self._objects.pop(uid, None)

    def gone(self, uid: str) -> None:
        """Forget an object that no longer exists."""
        with self._lock:
            self._objects.pop(uid, None)

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Yield the metric without numbers."""
        yield GaugeMetricFamily(
            "cloudimage_earlier_image_users",
            "Servers and volumes that were made from an image which was replaced since.",
            labels=("image", "project"),
        )

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the metric with the numbers of now."""
        with self._lock:
            pairs = [pair for users in self._objects.values() for pair in users.items()]
        pairs.sort(key=lambda each: (-each[1], each[0]))
        [family] = self.describe()
        for labels, number in pairs[:MOST_SERIES]:
            family.add_metric(labels, number)
        if rest := sum(number for _, number in pairs[MOST_SERIES:]):
            family.add_metric((OTHERS, OTHERS), rest)
        yield family


def _users(revisions: Iterable[Mapping[str, Any]]) -> Iterator[tuple[tuple[str, str], int]]:
    for revision in revisions:
        # What is not understood, by another CRD than ours, must not hide the object.
        with suppress(KeyError, TypeError, ValueError, AttributeError):
            if not revision["current"]:
                for each in revision.get("projects", ()):
                    labels = str(revision["imageID"]), str(each["projectID"])
                    yield labels, int(each["servers"]) + int(each["volumes"])
