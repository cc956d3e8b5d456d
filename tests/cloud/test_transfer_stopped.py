"""Transfers that are killed, interrupted, or left alone."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from cloudimage.transfer.contract import Failure, Reason, Stage
from support.transfer_images import MIB, qemu_img
from support.transfer_runs import Bench, Transfer, by_hand, fail

pytestmark = pytest.mark.cloud


@pytest.fixture
def long_upload(bench: Bench, qcow2: Path) -> Iterator[Transfer]:
    """A transfer that has sent some of 8 GiB to Glance."""
    qemu_img("resize", "-q", "-f", "qcow2", qcow2, "8G")
    transfer = Transfer(bench.request(bench.put(qcow2), disk_format="raw"))
    transfer.until(Stage.UPLOADING, 10 * MIB)
    yield transfer
    transfer.process.kill()


def tools_of(transfer: Transfer) -> list[psutil.Process]:
    """Return the transfer's tools, and the fork of it that starts them."""
    tools = psutil.Process(transfer.process.pid).children(recursive=True)
    assert {tool.name() for tool in tools} == {"qemu-nbd", "transfer"}
    return tools


def test_killed_transfer_takes_its_tools_along(bench: Bench, long_upload: Transfer) -> None:
    tools = tools_of(long_upload)
    long_upload.process.kill()
    _, alive = psutil.wait_procs(tools, timeout=5)
    assert alive == []
    assert all(image.status != "active" for image in bench.images())
    for leftover in bench.scratch.iterdir():  # nobody was left to remove it
        for path in leftover.iterdir():
            path.unlink()
        leftover.rmdir()


def test_end_of_the_operator_ends_an_upload(bench: Bench, long_upload: Transfer) -> None:
    tools = tools_of(long_upload)
    began = time.monotonic()
    long_upload.stdin.close()
    outcome = long_upload.end()
    assert isinstance(outcome, Failure)
    assert (outcome.reason, outcome.stage) == (Reason.INTERRUPTED, Stage.UPLOADING)
    assert time.monotonic() - began < 10
    assert psutil.wait_procs(tools, timeout=5)[1] == []
    assert bench.images() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_a_download(bench: Bench, qcow2: Path, number: signal.Signals) -> None:
    url = bench.put(qcow2) + "?rate=200000"
    transfer = Transfer(bench.request(url), by_hand)
    transfer.until(Stage.FETCHING, 1)
    os.kill(transfer.process.pid, number)
    outcome = transfer.end()
    assert isinstance(outcome, Failure)
    assert outcome.reason is Reason.INTERRUPTED
    assert bench.images() == []


def test_signal_while_the_source_stalls(bench: Bench, qcow2: Path) -> None:
    request = bench.request(bench.put(qcow2) + "?fault=stall&at=100000&seconds=60")
    request["limits"]["stall_seconds"] = 60
    transfer = Transfer(request)
    transfer.until(Stage.FETCHING)
    time.sleep(0.5)
    began = time.monotonic()
    transfer.process.terminate()
    outcome = transfer.end()
    assert isinstance(outcome, Failure)
    assert outcome.reason is Reason.INTERRUPTED
    assert time.monotonic() - began < 3


def test_request_that_is_none(bench: Bench) -> None:
    request = bench.request("http://127.0.0.1/x")
    request["cloud"] = {"password": "secret"}
    failure = fail(request, Reason.INVALID_REQUEST)
    assert "cloud.config" in failure.message
    assert "secret" not in failure.message
