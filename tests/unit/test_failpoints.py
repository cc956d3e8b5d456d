"""A fail point halts the process it is set for, and only once; otherwise nothing happens."""

import os
import signal
import subprocess
import sys

import pytest

_PROGRAM = """
from cloudimage.failpoints import Point, failpoint
failpoint(Point.MARKED, "debian")
failpoint(Point.MARKED, "debian")
"""


def _start(halts: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", _PROGRAM], env={**os.environ, **halts})


@pytest.mark.parametrize(
    "halts",
    [
        {},
        {"CLOUDIMAGE_HALT_AT": ""},
        {"CLOUDIMAGE_HALT_AT": "marked:other stored:debian marked"},
    ],
)
def test_it_goes_on_where_it_is_not_told_to_halt(halts: dict[str, str]) -> None:
    assert _start(halts).wait(20) == 0


def test_it_halts_once_at_its_point() -> None:
    process = _start({"CLOUDIMAGE_HALT_AT": "fetched:debian marked:debian"})
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    assert os.WSTOPSIG(status) == signal.SIGSTOP
    process.send_signal(signal.SIGCONT)
    assert process.wait(20) == 0


_THREADS = """
import os, threading
from cloudimage.failpoints import Point, failpoint
def work():
    failpoint(Point.MARKED, "debian")
    os.write(1, b"went on")
threading.Thread(target=work).start()
"""


def test_the_thread_that_is_there_does_not_go_on() -> None:
    """Any thread may take a signal of the process, and the others run until it does."""
    for _ in range(20):
        halts = {"CLOUDIMAGE_HALT_AT": "marked:debian"}
        with subprocess.Popen(
            [sys.executable, "-c", _THREADS], env={**os.environ, **halts}, stdout=subprocess.PIPE
        ) as process:
            os.waitpid(process.pid, os.WUNTRACED)
            process.kill()
            assert process.communicate()[0] == b""
