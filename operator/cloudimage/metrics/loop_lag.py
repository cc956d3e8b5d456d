"""How late the operator's event loop gets."""

import asyncio
from typing import Final

from cloudimage.metrics.operator import LOOP_LAG_SECONDS

INTERVAL_SECONDS: Final = 1.0
"""Between two measurements."""


async def watch_loop_lag(interval: float = INTERVAL_SECONDS) -> None:
    """Measure for ever how much later than asked for a sleep of ``interval`` seconds ends."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + interval
        await asyncio.sleep(interval)
        LOOP_LAG_SECONDS.observe(max(0.0, loop.time() - due))
