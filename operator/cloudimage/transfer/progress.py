"""Progress of a transfer: how many bytes, of how many, how fast."""

import time
from collections import deque
from collections.abc import Callable

from cloudimage.transfer.contract import Progress, Stage

INTERVAL_SECONDS = 0.5
"""At most one line of progress in this time, besides one at the start of each stage."""

WINDOW_SECONDS = 5.0
"""The rate is of this recent time, so that it shows a stall and forgets a slow start."""


class Meter:
    """Counts the bytes of one stage after the other and reports them now and then.

    Attributes:
        stage: The stage that the transfer is in.
    """

    def __init__(
        self, emit: Callable[[Progress], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._emit = emit
        self._clock = clock
        self._samples = deque([(clock(), 0)])
        self._total: int | None = None
        self.stage = Stage.PENDING

    def start(self, stage: Stage, total: int | None = None) -> None:
        """Enter a stage of ``total`` bytes and report it at once."""
        self.stage = stage
        self._total = total
        self._samples = deque([(self._clock(), 0)])
        self._emit(Progress(stage=self.stage, total=total))

    def count(self, transferred: int) -> None:
        """Record that ``transferred`` bytes of the stage are done; report if it is time."""
        now = self._clock()
        if now - self._samples[-1][0] < INTERVAL_SECONDS and transferred != self._total:
            return
        while len(self._samples) > 1 and self._samples[1][0] <= now - WINDOW_SECONDS:
            self._samples.popleft()
        then, before = self._samples[0]
        self._samples.append((now, transferred))
        rate = (transferred - before) / max(now - then, INTERVAL_SECONDS)
        self._emit(
            Progress(stage=self.stage, transferred=transferred, total=self._total, rate=rate)
        )
