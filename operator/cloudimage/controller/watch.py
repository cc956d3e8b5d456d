"""Filters the events of one kind: news is queued, echoes of our own writes are not."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import kopf

from cloudimage.api.names import FINALIZER, GROUP
from cloudimage.controller.workqueue import WorkQueue
from cloudimage.kube import Key
from cloudimage.metrics import operator as metrics


class _Seen(NamedTuple):
    """What of an object is news: not our own writes of its status, they would echo for ever."""

    generation: int | None
    deleted: bool
    annotations: tuple[tuple[str, str], ...]
    held: bool

    @classmethod
    def of(cls, metadata: Mapping[str, Any]) -> "_Seen":
        annotations: Mapping[str, str] = metadata.get("annotations", {})
        return cls(
            generation=metadata.get("generation"),
            deleted="deletionTimestamp" in metadata,
            # Others' can be as large as the object, and tell us nothing.
            annotations=tuple(
                sorted(each for each in annotations.items() if each[0].startswith(f"{GROUP}/"))
            ),
            held=FINALIZER in metadata.get("finalizers", ()),
        )


def key_in(event: kopf.RawEvent) -> Key:
    """Return whose event it is."""
    metadata = event["object"]["metadata"]
    return Key(metadata["namespace"], metadata["name"])


@dataclass
class Watch:
    """The objects of one kind; for the event loop only.

    Attributes:
        queue: Where objects with news go; before others when somebody changed them.
        gone: Told the UID of an object that was removed.
    """

    queue: WorkQueue[Key]
    gone: Callable[[str], None]
    _seen: dict[str, _Seen] = field(default_factory=dict)

    def take(self, event: kopf.RawEvent) -> bool:
        """Record an event of an object; return whether it is the first one of it."""
        metadata: dict[str, Any] = dict(event["object"]["metadata"])
        uid, key = metadata["uid"], key_in(event)
        if event["type"] == "DELETED":
            self._seen.pop(uid, None)
            self.gone(uid)
            metrics.OBJECTS.gone(self.queue.kind, key)
            metrics.EARLIER_IMAGE_USERS.gone(uid)
            self.queue.add(key)
            return False
        status = event["object"].get("status", {})
        metrics.OBJECTS.update(self.queue.kind, key, status.get("conditions", []))
        metrics.EARLIER_IMAGE_USERS.update(uid, status.get("revisions", []))
        before, now = self._seen.get(uid), _Seen.of(metadata)
        if before != now:
            self._seen[uid] = now
            changed = before is not None and before._replace(held=now.held) != now
            self.queue.add(key, urgent=changed or now.deleted)
        return before is None
