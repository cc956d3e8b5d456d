"""The runner of transfers: turns, progress, outcomes, ends."""

import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from cloudimage.runners.child import ChildRunner, sweep
from cloudimage.transfer.contract import Cloud, Failure, NewImage, Reason, Stage
from cloudimage.transfer.request import TransferRequest
from cloudimage.transfer.source.file.model import FileSource
from cloudimage.transfer.source.http.model import HttpSource

PROGRESS = '{"type": "progress", "stage": "Fetching", "transferred": 1, "total": 4, "rate": 0.5}'
FAILURE = (
    '{"type": "failure", "reason": "SourceNotFound", "message": "404", "stage": "Fetching", '
    '"retry_after": null}'
)
READ = "import sys, time, pathlib, os; request = sys.stdin.readline()"


def wait_for(seen: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not seen():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[[str, str], ChildRunner]]:
    """Start a program in place of the transfer, under a UID; one at a time."""
    runner = ChildRunner(1)

    def start(uid: str, program: str) -> ChildRunner:
        command = (sys.executable, "-c", f"{READ}\n{textwrap.dedent(program)}")
        runner.spawn = lambda: subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        request = TransferRequest(
            source=HttpSource(url="https://example.org/image"),
            image=NewImage(id_seed="seed", name="name"),
            cloud=Cloud(config={"auth": {"password": "s3cret"}}),
            scratch=tmp_path,
        )
        runner.start(uid, "digest", request, lambda: None)
        return runner

    yield start
    runner.stop()


def test_a_volume_is_not_read_by_a_child(tmp_path: Path) -> None:
    runner = ChildRunner(1, spawn=lambda: pytest.fail("a process was started"))
    request = TransferRequest(
        source=FileSource(path="disk.raw", claim="builds"),
        image=NewImage(id_seed="seed", name="name"),
        cloud=Cloud(config={}),
        scratch=tmp_path,
    )
    runner.start("uid", "digest", request, lambda: None)
    failure = outcome(runner, "uid")
    assert failure.reason is Reason.JOB_NOT_STARTED
    assert "transfer.persistentVolumeClaims" in failure.message
    runner.stop()


def outcome(runner: ChildRunner, uid: str) -> Failure:
    wait_for(lambda: (view := runner.view(uid)) is not None and view.outcome is not None)
    view = runner.view(uid)
    assert view is not None
    assert isinstance(view.outcome, Failure)
    return view.outcome


def test_progress_is_seen_and_then_the_outcome(run: Callable[[str, str], ChildRunner]) -> None:
    runner = run("a", f"print('{PROGRESS}', flush=True); time.sleep(0.5); print('{FAILURE}')")
    wait_for(lambda: runner.view("a").progress.transferred == 1)  # type: ignore[union-attr]  # started
    assert outcome(runner, "a").reason is Reason.SOURCE_NOT_FOUND
    runner.forget("a")
    assert runner.view("a") is None


def test_secrets_are_neither_in_arguments_nor_in_the_environment(
    run: Callable[[str, str], ChildRunner],
) -> None:
    runner = run("a", "time.sleep(60)")
    wait_for(lambda: runner.view("a").process is not None)  # type: ignore[union-attr]  # started
    process = psutil.Process(runner.view("a").process.pid)  # type: ignore[union-attr]  # started
    assert "s3cret" not in str(process.cmdline()) + str(process.environ())


def test_a_transfer_that_says_nothing_failed(run: Callable[[str, str], ChildRunner]) -> None:
    failure = outcome(run("a", "sys.exit(7)"), "a")
    assert failure.reason is Reason.INTERNAL_ERROR
    assert "status 7" in failure.message


def test_what_is_no_event_is_passed_over(run: Callable[[str, str], ChildRunner]) -> None:
    failure = outcome(run("a", f"print('garbage'); print('{FAILURE}')"), "a")
    assert failure.reason is Reason.SOURCE_NOT_FOUND


@pytest.mark.parametrize("written", [b"\xff\n", b"a" + b"\xc3\xa9" * 200 + b"\n"])
def test_nor_is_what_is_no_text(run: Callable[[str, str], ChildRunner], written: bytes) -> None:
    program = f"sys.stdout.buffer.write({written!r}); print('{FAILURE}')"
    assert outcome(run("a", program), "a").reason is Reason.SOURCE_NOT_FOUND


def test_a_cancelled_transfer_is_told_and_then_gone(
    run: Callable[[str, str], ChildRunner],
) -> None:
    runner = run("a", f"print('{PROGRESS}', flush=True); time.sleep(60)")
    wait_for(lambda: runner.view("a").progress.stage is Stage.FETCHING)  # type: ignore[union-attr]  # started
    runner.cancel("a")
    wait_for(lambda: runner.view("a") is None)


def test_one_that_waits_for_its_turn_is_cancelled_at_once(
    run: Callable[[str, str], ChildRunner],
) -> None:
    runner = run("a", "time.sleep(60)")
    run("b", "time.sleep(60)")
    view = runner.view("b")
    assert view is not None
    assert view.process is None
    runner.cancel("b")
    assert runner.view("b") is None
    assert runner.view("a") is not None


def test_the_scratch_goes_with_a_transfer_that_was_killed(
    run: Callable[[str, str], ChildRunner], tmp_path: Path
) -> None:
    program = """
        import json, signal
        pathlib.Path(json.loads(request)["scratch"], "left").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    """
    runner = run("a", textwrap.dedent(program))
    assert "status -9" in outcome(runner, "a").message
    assert list(tmp_path.iterdir()) == []


def test_stopping_ends_all_and_waits(run: Callable[[str, str], ChildRunner]) -> None:
    runner = run("a", "time.sleep(60)")
    run("b", "time.sleep(60)")
    wait_for(lambda: runner.view("a").process is not None)  # type: ignore[union-attr]  # started
    process = runner.view("a").process  # type: ignore[union-attr]  # started
    runner.stop()
    assert process is not None
    assert process.returncode is not None
    assert threading.active_count() < 20


def test_abandoned_transfers_end_without_their_clean_up(
    run: Callable[[str, str], ChildRunner],
) -> None:
    program = f"""
        import signal
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print({PROGRESS!r}, flush=True)
        time.sleep(60)
    """
    runner = run("a", program)
    run("b", program)  # waits for its turn
    wait_for(lambda: runner.view("a").progress.stage == Stage.FETCHING)  # type: ignore[union-attr]  # started
    runner.abandon()
    assert "status -9" in outcome(runner, "a").message
    assert runner.view("b").process is None  # type: ignore[union-attr]  # it never had its turn


def test_what_a_killed_operator_left_is_swept(tmp_path: Path) -> None:
    (tmp_path / "run-old" / "transfer").mkdir(parents=True)
    (tmp_path / "mine").touch()
    sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
