"""Updates the metrics from a transfer's progress and end."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from cloudimage.api.reasons import Reason
from cloudimage.metrics import operator as metrics
from cloudimage.transfer.contract import Failure, Progress, Result, Stage

_RUNNING = tuple(stage for stage in Stage if stage is not Stage.COMPLETE)


@dataclass
class StageMeter:
    """Counts the bytes and seconds of one transfer's stages.

    Attributes:
        midway: The transfer began under an earlier operator, which counted what came before; so
            the first progress only says where it is.
        clock: Seconds.
    """

    midway: bool = False
    clock: Callable[[], float] = time.monotonic
    _stage: Stage = Stage.PENDING
    _bytes: int = 0
    _since: float = field(init=False)

    def __post_init__(self) -> None:
        self._since = self.clock()

    def saw(self, progress: Progress) -> None:
        """Record progress."""
        if self.midway:
            self.midway, self._bytes, self._stage = False, progress.transferred, progress.stage
            self._since = self.clock()
            return
        if progress.stage is not self._stage:
            self._leave()
            self._stage, self._bytes = progress.stage, 0
        # Less than before: the stage began again, for instance with another mirror.
        moved = progress.transferred - self._bytes
        metrics.TRANSFER_BYTES.labels(self._stage).inc(max(0, moved))
        self._bytes = progress.transferred

    def ended(self, outcome: Result | Failure, *, cancelled: bool) -> None:
        """Record the end, once."""
        self._leave()
        reason = _reason(outcome)
        if cancelled:
            reason = metrics.CANCELLED
        elif isinstance(outcome, Result):
            metrics.UPLOADED_BYTES.inc(outcome.size)
        metrics.TRANSFERS.labels(reason).inc()

    def _leave(self) -> None:
        now = self.clock()
        metrics.TRANSFER_STAGE_SECONDS.labels(self._stage).observe(now - self._since)
        self._since = now


def _reason(outcome: Result | Failure) -> str:
    return outcome.reason if isinstance(outcome, Failure) else Reason.AVAILABLE


def by_stage(stages: Iterable[Stage]) -> dict[str, float]:
    """Return how many transfers are in each stage, those with none too."""
    seen = list(stages)
    return {stage: float(seen.count(stage)) for stage in _RUNNING}
