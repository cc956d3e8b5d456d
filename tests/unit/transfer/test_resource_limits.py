"""A transfer's process takes no more than its limits."""

import io
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest

from cloudimage.transfer import worker
from cloudimage.transfer.contract import EVENTS, Failure, Reason
from cloudimage.transfer.interrupts import Interrupts

RESTRAINED = """
import resource, sys, threading
from cloudimage.transfer.resource_limits import restrain
from cloudimage.transfer.contract import Limits
restrain(Limits(memory=256 * 2**20, max_download=2**20, max_expanded=2**20, max_scratch=2**20))
{program}
"""
THREADS = """
done = threading.Event()
threads = [threading.Thread(target=done.wait) for _ in range(20)]
for each in threads: each.start()
done.set()
print(len(bytes(64 * 2**20)))
"""
TOOL = """
from pathlib import Path
from cloudimage.transfer.tools.toolbox import Toolbox
tools = Toolbox(Path(sys.argv[1]), memory=2**30, cpu_seconds=30)
print(tools.run(sys.executable, "-c", "print(len(bytes(400 * 2**20)))").decode())
"""


def run(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", RESTRAINED.format(program=program), str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_its_memory_is_bounded(tmp_path: Path) -> None:
    done = run("bytes(300 * 2**20)", tmp_path)
    assert "MemoryError" in done.stderr


def test_addresses_that_threads_do_not_use_are_not_counted(tmp_path: Path) -> None:
    done = run(THREADS, tmp_path)
    assert (done.stdout, done.stderr) == (f"{64 * 2**20}\n", "")


def test_its_programs_have_another_bound(tmp_path: Path) -> None:
    done = run(TOOL, tmp_path)
    assert (done.stdout.split(), done.stderr) == ([str(400 * 2**20)], "")


def test_its_files_are_bounded_by_what_it_may_keep(tmp_path: Path) -> None:
    done = run("open(f'{sys.argv[1]}/file', 'wb').write(bytes(2**21))", tmp_path)
    assert "File too large" in done.stderr
    assert (tmp_path / "file").stat().st_size <= 2**20


def test_it_tells_that_it_lacked_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(_: Interrupts) -> NoReturn:
        raise MemoryError

    output = io.StringIO()
    monkeypatch.setattr(sys, "stdout", output)
    monkeypatch.setattr(Interrupts, "install", lambda _: None)
    assert worker.carry_out(read) == 1
    failure = EVENTS.validate_json(output.getvalue())
    assert isinstance(failure, Failure)
    assert failure.reason is Reason.INTERNAL_ERROR
    assert "transfer.memoryMiB" in failure.message
