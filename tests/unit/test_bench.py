"""What the benchmarks make of their numbers."""

import asyncio
import json
import os
import time
from pathlib import Path

import pytest

from bench.results import Bar, Limit, markdown, save, table
from bench.scale import QUICK
from bench.watch import Peak, bytes_in, cpu_seconds, memory, watching, worst_lag

BAR = Bar("crowd", "many", {"ours": 2.0}, [Limit("ours / theirs", 2.0, 1.1), Limit("b", 1, 1)])


def test_limits() -> None:
    assert [limit.met for limit in BAR.limits] == [False, True]


def test_results_as_json(tmp_path: Path) -> None:
    record = json.loads(save([BAR], QUICK, tmp_path / "results").read_text())
    assert record["bars"] == [
        {
            "name": "crowd",
            "title": "many",
            "seconds": {"ours": 2.0},
            "limits": [
                {"what": "ours / theirs", "value": 2.0, "limit": 1.1, "unit": "", "met": False},
                {"what": "b", "value": 1, "limit": 1, "unit": "", "met": True},
            ],
        }
    ]
    assert record["scale"]["name"] == "quick"
    assert record["when"].endswith("+00:00")


def test_results_as_table() -> None:
    lines = list(table([BAR]))
    assert "2.00 s" in lines[1]
    assert lines[2].endswith("MISSED")
    assert lines[3].endswith("met")


def test_results_for_the_documentation() -> None:
    text = "\n".join(markdown([BAR, Bar("reading", "ways", {"one": 1.0})]))
    assert "| ours / theirs | 2.00 | 1.1 | **missed** |" in text
    assert "| b | 1.00 | 1 | met |" in text
    assert text.count("| what | measured") == 1
    assert "| one | 1.00 |" in text


def test_memory_and_time_of_a_process() -> None:
    held = bytearray(b"x") * 30_000_000
    assert memory(os.getpid()) > len(held)
    assert cpu_seconds([os.getpid()]) > 0
    used = cpu_seconds([os.getpid(), os.getpid()])
    assert used < 1.5 * cpu_seconds([os.getpid()])


def test_peak_of_a_folder(tmp_path: Path) -> None:
    peak = Peak(lambda: bytes_in(tmp_path))
    with watching(peak):
        (tmp_path / "x").write_bytes(bytes(1000))
        time.sleep(0.3)
        (tmp_path / "x").unlink()
    assert peak.value == 1000


def test_lag_is_of_the_loop_and_not_of_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    lag, result = worst_lag(lambda: time.sleep(0.2) or "done")
    assert lag < 0.2
    assert result == "done"
    sleep = asyncio.sleep

    async def late(seconds: float) -> None:
        await sleep(seconds)
        time.sleep(0.3)  # noqa: ASYNC251 - the fault: it blocks the loop

    monkeypatch.setattr(asyncio, "sleep", late)
    assert worst_lag(lambda: time.sleep(0.1))[0] > 0.25
