"""The scheduler's class of transfers, as the kernel has it."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from cloudimage.runners.fork_client import Forked, ForkServer
from cloudimage.runners.priorities import Priorities
from support.openstack_actions import wait_until

# The server itself, but for a transfer that has a thread and a program, and waits for its end.
SERVER = """
import subprocess, sys, threading, time, types
from cloudimage.transfer import forkserver

def main():
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
    program = subprocess.Popen(["sleep", "60"])
    sys.stdin.read()
    program.kill()
    return 0

sys.modules["cloudimage.transfer.worker"] = types.SimpleNamespace(main=main)
forkserver.main()
"""


@pytest.fixture
def server() -> Iterator[ForkServer]:
    server = ForkServer((sys.executable, "-c", SERVER))
    yield server
    server.close()


def classes(transfer: Forked) -> set[int]:
    """Return the classes of all threads of a transfer and of its programs."""
    process = psutil.Process(transfer.pid)
    return {
        os.sched_getscheduler(int(thread.name))
        for each in (process, *process.children(recursive=True))
        for thread in Path(f"/proc/{each.pid}/task").iterdir()
    }


def wait_until_busy(*transfers: Forked) -> None:
    for transfer in transfers:
        process = psutil.Process(transfer.pid)
        wait_until(lambda: process.num_threads() == 2 and bool(process.children()))  # noqa: B023 # at once


def test_who_had_much_gets_what_another_tenant_leaves(server: ForkServer) -> None:
    now = 0.0
    priorities = Priorities(lambda: now)
    with server.spawn() as greedy, server.spawn() as new:
        wait_until_busy(greedy, new)
        with priorities.running(greedy.pid, "greedy"):
            assert classes(greedy) == {os.SCHED_OTHER}
            now = 100.0
            with priorities.running(new.pid, "new"):
                assert classes(greedy) == {os.SCHED_IDLE}
                assert classes(new) == {os.SCHED_OTHER}


def test_of_one_tenant_nobody_stands_back(server: ForkServer) -> None:
    now = 0.0
    priorities = Priorities(lambda: now)
    with server.spawn() as first, server.spawn() as second:
        wait_until_busy(first, second)
        with priorities.running(first.pid, "a"):
            now = 100.0
            with priorities.running(second.pid, "a"):
                assert classes(first) == classes(second) == {os.SCHED_OTHER}


def test_one_that_has_just_ended_is_no_trouble(server: ForkServer) -> None:
    now = 0.0
    priorities = Priorities(lambda: now)
    with server.spawn() as ended:
        pid = ended.pid
    with priorities.running(pid, "greedy"), server.spawn() as new:
        now = 100.0
        with priorities.running(new.pid, "new"):
            wait_until_busy(new)
            assert classes(new) == {os.SCHED_OTHER}
