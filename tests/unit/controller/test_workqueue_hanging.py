"""The work queue while reconciles hang."""

import asyncio
import threading
import time
from collections.abc import Callable

import pytest

from cloudimage.controller.workqueue import WorkQueue


def hanging(
    keys: list[str], workers: int, tenants: Callable[[str], tuple[str, ...]], wait: float
) -> tuple[list[str], list[str], float]:
    """Have keys that begin with "h" hang; return the calls, the reports, and how long stop took."""
    calls: list[str] = []
    told: list[str] = []
    opened = threading.Event()

    def reconcile(key: str) -> None:
        calls.append(key)
        if key.startswith("h"):
            opened.wait(60)

    async def main() -> float:
        queue = WorkQueue(
            reconcile,
            workers,
            tenants=tenants,
            tell=lambda key, error: told.append(f"{key} {type(error).__name__}"),
            deadline=0.1,
        )
        queue.start()
        for key in keys:
            queue.add(key)
        await asyncio.sleep(wait)
        began = time.monotonic()
        await queue.stop()
        return time.monotonic() - began

    took = asyncio.run(main())
    opened.set()
    return calls, told, took


def test_a_tenant_that_hangs_has_a_quarter_of_the_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloudimage.controller.workqueue._STOP_SECONDS", 0.2)
    keys = [*(f"h{number}" for number in range(20)), "good"]
    calls, told, took = hanging(keys, 8, lambda key: (key[0],), 0.5)
    assert sorted(calls) == ["good", "h0", "h1"]
    assert told == []
    assert took < 2, "the end of the operator waits for what hangs"


def test_the_place_of_what_hangs_is_given_to_another_but_not_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cloudimage.controller.workqueue._GRACE_SECONDS", 0.1)
    monkeypatch.setattr("cloudimage.controller.workqueue._STOP_SECONDS", 0.2)
    keys = [*(f"h{number}" for number in range(20)), "x"]
    calls, told, _ = hanging(keys, 8, lambda _: ("h",), 2)
    # Two places, and two more for those whose time is over; those stay.
    assert [key for key in calls if key != "x"] == ["h0", "h1", "h2", "h3"]
    assert "h0 DeadlineExceededError" in told
    assert len(told) == 4
