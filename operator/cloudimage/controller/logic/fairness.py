"""Who gets the next of a number of places (workers, transfers): no tenant has them all.

A tenant is whatever can hold a place up: a namespace, and a Secret, whose cloud may be anybody's.
None has more than a quarter of the places, also while others are free: a place cannot be taken back
from a server that never answers.
"""

from collections import Counter, OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

Tenants = tuple[Hashable, ...]
"""The holders of a place, all of which it counts for; the first one has its turn."""


@dataclass(frozen=True, slots=True)
class Part:
    """A tenant that has at most half of what others may have: one of a tenant's clouds.

    So one that does not answer holds up no other cloud of that tenant.
    """

    name: Hashable


_Line = OrderedDict[Tenants, OrderedDict[K, None]]
"""The keys of each group of tenants: as many may wait, whose turn it is must be found fast."""
_SHARES = 4


def share_of(places: int) -> int:
    """Return how many of the places one tenant may have: a quarter, and at least one."""
    return max(1, places // _SHARES)


@dataclass
class FairLine(Generic[K]):
    """Keys that wait for a place or have one.

    Urgent ones go first. Among the others, the turn is of the tenant that has the fewest places;
    within a tenant its clouds take turns, and of the keys of one the first that came.

    Attributes:
        places: How many keys may have one at once.
        for_urgent: Whether a quarter of the places, and of each tenant's share, is for urgent keys.
    """

    places: int
    for_urgent: bool = False
    _urgent: _Line[K] = field(default_factory=OrderedDict)
    _usual: _Line[K] = field(default_factory=OrderedDict)
    _where: dict[K, Tenants] = field(default_factory=dict)
    _taken: dict[K, Tenants] = field(default_factory=dict)
    _held: Counter[Hashable] = field(default_factory=Counter)

    @property
    def waiting(self) -> int:
        """How many keys wait."""
        return len(self._where)

    @property
    def taken(self) -> int:
        """How many places are taken."""
        return len(self._taken)

    def __contains__(self, key: K) -> bool:
        """Return whether the key waits."""
        return key in self._where

    def put(self, key: K, tenants: Tenants, *, urgent: bool = False) -> None:
        """Have a key wait; one that waits already keeps its turn, or becomes urgent."""
        if key in self._where:
            if not urgent or key in self._urgent.get(self._where[key], ()):
                return
            self.discard(key)
        self._where[key] = tenants
        line = self._urgent if urgent else self._usual
        line.setdefault(tenants, OrderedDict())[key] = None

    def discard(self, key: K) -> bool:
        """Have a key no longer wait; return whether it did."""
        if key not in self._where:
            return False
        group = self._where.pop(key)
        for line in (self._urgent, self._usual):
            if key in line.get(group, ()):
                keys = line.pop(group)
                del keys[key]
                if keys:
                    line[group] = keys  # behind the others: it had its turn
        return True

    def clear(self) -> None:
        """Have no key wait any longer."""
        self._where.clear()
        self._urgent.clear()
        self._usual.clear()

    def take(self) -> tuple[K, bool] | None:
        """Give a place to the key whose turn it is; return it and whether it was urgent.

        Returns:
            None when no key waits that may have a place now.
        """
        share = share_of(self.places)
        kept, kept_of_share = (self.places // 4, share // 4) if self.for_urgent else (0, 0)
        for line, places, most in (
            (self._urgent, self.places, share),
            (self._usual, self.places - kept, share - kept_of_share),
        ):
            if self.taken < places and (found := self._first(line, most)):
                key, tenants = found
                self.discard(key)
                self._taken[key] = tenants
                self._held.update(tenants)
                return key, line is self._urgent
        return None

    def has_place(self, key: K) -> bool:
        """Return whether the key has a place."""
        return key in self._taken

    def hold(self, key: K, tenants: Tenants) -> None:
        """Give a place to a key whatever the others have: it was there before they were counted."""
        if key not in self._taken:
            self.discard(key)
            self._taken[key] = tenants
            self._held.update(tenants)

    def release(self, key: K) -> None:
        """Take the place of a key back; it may have none."""
        for tenant in self._taken.pop(key, ()):
            self._held[tenant] -= 1
            if not self._held[tenant]:
                del self._held[tenant]

    def held_by(self, key: K) -> Tenants:
        """Return the tenants of a key that has a place."""
        return self._taken.get(key, ())

    def _first(self, line: _Line[K], most: int) -> tuple[K, Tenants] | None:
        for tenants in sorted(line, key=lambda group: self._held[group[0]] if group else 0):
            if all(self._held[tenant] < _limit(tenant, most) for tenant in tenants):
                return next(iter(line[tenants])), tenants
        return None


def _limit(tenant: Hashable, most: int) -> int:
    return (most + 1) // 2 if isinstance(tenant, Part) else most
