"""Who refers to whom, so that whoever waits for another CloudImage hears of it at once."""

from collections import defaultdict
from dataclasses import dataclass, field

from cloudimage.api.cloudimage import CloudImage
from cloudimage.handlers.kube import Key, key_of
from cloudimage.reconcile import references


@dataclass
class ReferenceIndex:
    """What the watch has shown of references; for the event loop only."""

    _targets: dict[Key, frozenset[Key]] = field(default_factory=dict)
    _users: defaultdict[Key, set[Key]] = field(default_factory=lambda: defaultdict(set))
    _image_ids: dict[Key, str] = field(default_factory=dict)

    def seen(self, resource: CloudImage) -> frozenset[Key]:
        """Take note of an object; return those that have to look at it again."""
        key = key_of(resource)
        names = references.of(resource.spec.image).values()
        self._point(key, frozenset(Key(key.namespace, name) for name in names))
        return self._changed(key, references.image_id(resource))

    def gone(self, key: Key) -> frozenset[Key]:
        """Forget an object; return those that have to look at it again."""
        self._point(key, frozenset())
        return self._changed(key, None)

    def _point(self, key: Key, targets: frozenset[Key]) -> None:
        for target in self._targets.pop(key, frozenset()) - targets:
            self._users[target].discard(key)
            if not self._users[target]:
                del self._users[target]
        for target in targets:
            self._users[target].add(key)
        if targets:
            self._targets[key] = targets

    def _changed(self, key: Key, image_id: str | None) -> frozenset[Key]:
        if self._image_ids.get(key) == image_id:
            return frozenset()
        if image_id is None:
            del self._image_ids[key]
        else:
            self._image_ids[key] = image_id
        return frozenset(self._users.get(key, ()))
