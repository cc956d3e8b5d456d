"""Which transfers stand back: those of a tenant that had much more than another one of late."""

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Final

_WINDOW_SECONDS: Final = 600.0
"""What was longer ago no longer counts."""
_FREE_SECONDS: Final = 10.0
"""Added to what each tenant had, so that the very first seconds decide nothing."""
_MUCH: Final = 2
"""A tenant that had so many times as much as another one stands back."""


@dataclass
class _Run:
    tenant: Hashable
    begin: float
    end: float | None = None

    def seconds(self, now: float) -> float:
        """Return how many seconds of it are within the window."""
        end = now if self.end is None else self.end
        return max(0.0, end - max(self.begin, now - _WINDOW_SECONDS))


@dataclass
class FairShare:
    """The seconds that each tenant's transfers had; all times are of one monotonic clock."""

    _running: dict[int, _Run] = field(default_factory=dict)
    _ended: list[_Run] = field(default_factory=list)

    def start(self, pid: int, tenant: Hashable, now: float) -> None:
        """Count a transfer for its tenant from now on."""
        self._running[pid] = _Run(tenant, now)

    def end(self, pid: int, now: float) -> None:
        """Stop counting a transfer."""
        run = self._running.pop(pid)
        run.end = now
        self._ended.append(run)

    def standing_back(self, now: float) -> set[int]:
        """Return the transfers that run and leave the processor to those of other tenants."""
        self._ended = [run for run in self._ended if run.seconds(now)]
        had = dict.fromkeys((run.tenant for run in self._running.values()), _FREE_SECONDS)
        for run in (*self._running.values(), *self._ended):
            if run.tenant in had:
                had[run.tenant] += run.seconds(now)
        most = _MUCH * min(had.values(), default=0.0)
        return {pid for pid, run in self._running.items() if had[run.tenant] > most}
