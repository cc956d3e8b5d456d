"""How many objects are in which state, from what the watches have shown: no request is made."""

import threading
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, Final, NamedTuple

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

LABELS: Final = ("kind", "type", "status", "reason")


class _State(NamedTuple):
    """One condition of one object; few combinations, since reasons are words of ours."""

    type: str
    status: str
    reason: str


class ObjectStates(Collector):
    """Counts the objects that were seen last, by kind and condition; safe to share."""

    def __init__(self) -> None:
        self._objects: dict[tuple[str, Hashable], dict[_State, float]] = {}
        self._kinds: set[str] = set()
        self._lock = threading.Lock()

    def register(self, kind: str) -> None:
        """Count a kind from now on, even without objects: a missing series raises no alert."""
        with self._lock:
            self._kinds.add(kind)

    def update(self, kind: str, key: Hashable, conditions: Iterable[Mapping[str, Any]]) -> None:
        """Record an object as it is now.

        Args:
            kind: Plural name of its kind.
            key: Which object of the kind it is.
            conditions: Those of its status, as the API server has them.
        """
        states = dict(_states(conditions))
        with self._lock:
            self._objects[kind, key] = states

    def gone(self, kind: str, key: Hashable) -> None:
        """Forget an object that no longer exists."""
        with self._lock:
            self._objects.pop((kind, key), None)

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Yield the metrics without numbers."""
        yield GaugeMetricFamily(
            "cloudimage_objects", "Objects that the operator manages.", labels=LABELS[:1]
        )
        yield GaugeMetricFamily(
            "cloudimage_object_conditions",
            "Objects that have a condition with this status and reason.",
            labels=LABELS,
        )
        yield GaugeMetricFamily(
            "cloudimage_object_condition_oldest_timestamp_seconds",
            "Earliest time at which the condition of one of these objects took its status, in "
            "seconds since 1970.",
            labels=LABELS,
        )

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the metrics with the numbers of now."""
        with self._lock:
            objects = list(self._objects.items())
            totals = dict.fromkeys(sorted(self._kinds), 0)
        since: defaultdict[tuple[str, ...], list[float]] = defaultdict(list)
        for (kind, _), states in objects:
            totals[kind] = totals.get(kind, 0) + 1
            for state, time in states.items():
                since[kind, *state].append(time)
        count, conditions, oldest = self.describe()
        for kind, number in totals.items():
            count.add_metric([kind], number)
        for labels, times in since.items():
            conditions.add_metric(labels, len(times))
            oldest.add_metric(labels, min(times))
        yield from (count, conditions, oldest)


def _states(conditions: Iterable[Mapping[str, Any]]) -> Iterator[tuple[_State, float]]:
    for condition in conditions:
        # One that is not understood, by another CRD than ours, must not hide the object.
        with suppress(KeyError, TypeError, ValueError):
            yield _state(condition), _since(condition)


def _state(condition: Mapping[str, Any]) -> _State:
    return _State(condition["type"], condition["status"], condition["reason"])


def _since(condition: Mapping[str, Any]) -> float:
    return datetime.fromisoformat(condition["lastTransitionTime"]).timestamp()
