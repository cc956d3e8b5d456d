"""How late the event loop is: whatever blocks it holds up watches, timers and the probe."""

import asyncio

from cloudimage import metrics

INTERVAL_SECONDS = 1.0


async def watch(interval: float = INTERVAL_SECONDS) -> None:
    """Measure for ever how much later than asked for a sleep of ``interval`` seconds ends."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + interval
        await asyncio.sleep(interval)
        metrics.LOOP_LAG_SECONDS.observe(max(0.0, loop.time() - due))
