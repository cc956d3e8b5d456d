"""Which objects refer to which, so that an object hears at once of a change it waits for."""

from collections import defaultdict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field

from cloudimage.kube import Key


@dataclass
class ReferenceIndex:
    """What the watch has shown of references of one kind; for the event loop only."""

    _targets: dict[Key, frozenset[Key]] = field(default_factory=dict)
    _users: defaultdict[Key, set[Key]] = field(default_factory=lambda: defaultdict(set))
    _states: dict[Key, Hashable] = field(default_factory=dict)

    def set_targets(self, key: Key, targets: Iterable[Key]) -> frozenset[Key]:
        """Record what an object refers to; return what it no longer refers to."""
        wanted = frozenset(targets)
        dropped = self._targets.pop(key, frozenset()) - wanted
        for target in dropped:
            self._users[target].discard(key)
            if not self._users[target]:
                del self._users[target]
        for target in wanted:
            self._users[target].add(key)
        if wanted:
            self._targets[key] = wanted
        return dropped

    def set_state(self, target: Key, state: Hashable | None) -> frozenset[Key]:
        """Record an object's state; return the objects that have to look at it again.

        Args:
            target: The object.
            state: What objects that refer to it depend on, or None if it is of no use to them.
        """
        if self._states.get(target) == state:
            return frozenset()
        if state is None:
            del self._states[target]
        else:
            self._states[target] = state
        return frozenset(self._users.get(target, ()))
