"""The test bed's command line: parts side by side, failures told, lines for the shell."""

import functools
import re
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from testbed import __main__ as command_line
from testbed import packages
from testbed.commands import run
from testbed.kubernetes import Kubernetes


@dataclass
class FakePart:
    """A part that notes what is done to it.

    Attributes:
        meeting: `up` waits here for the other parts.
        error: What `install` and `up` raise.
        command: What `install` runs to its end.
    """

    meeting: threading.Barrier = field(default_factory=lambda: threading.Barrier(1))
    error: Exception | None = None
    command: tuple[str, ...] = ("true",)
    done: list[str] = field(default_factory=list)

    def install(self) -> None:
        """Run the command, then note it or fail."""
        run(*self.command)
        if self.error is not None:
            raise self.error
        self.done.append("install")

    def up(self) -> None:
        """Wait for the others, then note it or fail."""
        self.meeting.wait(timeout=10)
        if self.error is not None:
            raise self.error
        self.done.append("up")

    def down(self) -> None:
        """Note it."""
        self.done.append("down")

    def status(self) -> list[tuple[str, int | None, str]]:
        """Say that the only server runs once `up` was called."""
        return [("server", 4711 if "up" in self.done else None, "http://127.0.0.1:1")]


def _same(part: FakePart) -> FakePart:
    return part


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, FakePart]:
    """Fakes in the place of all parts, which come up only side by side."""
    meeting = threading.Barrier(len(command_line.STARTED))
    fakes = {name: FakePart(meeting) for name in command_line.PARTS}
    for name, fake in fakes.items():
        monkeypatch.setitem(command_line.PARTS, name, functools.partial(_same, fake))
    monkeypatch.setattr(packages, "missing", lambda *_: [])
    monkeypatch.setenv("TESTBED_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TESTBED_STATE", str(tmp_path / "state"))
    return fakes


def test_all_parts_come_up_side_by_side(
    parts: dict[str, FakePart], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command_line.main(["up"]) == 0
    done = {name: part.done for name, part in parts.items()}
    for name in ("boot", "buckets", "whole", "kind"):
        assert done.pop(name) == [], "what few tests need comes up by its name alone"
    assert list(done.values()) == [["up"]] * 3
    assert capsys.readouterr().out.splitlines()[1].split() == [
        *("kubernetes", "server", "4711", "http://127.0.0.1:1")
    ]


def test_only_the_named_part_is_touched(parts: dict[str, FakePart]) -> None:
    assert command_line.main(["down", "sources"]) == 0
    assert {name: part.done for name, part in parts.items()} == {
        "kubernetes": [],
        "openstack": [],
        "boot": [],
        "sources": ["down"],
        "buckets": [],
        "whole": [],
        "kind": [],
    }


def test_what_few_need_is_installed_only_by_its_name(parts: dict[str, FakePart]) -> None:
    assert command_line.main(["install"]) == 0
    assert [name for name, part in parts.items() if part.done == []] == ["boot", "kind"]
    assert command_line.main(["install", "kind"]) == 0
    assert parts["kind"].done == ["install"]


def test_the_last_part_takes_the_state_folder_along(
    parts: dict[str, FakePart], tmp_path: Path
) -> None:
    of_another_part = tmp_path / "state" / "openstack"
    of_another_part.mkdir(parents=True)
    assert command_line.main(["down", "sources"]) == 0
    assert of_another_part.exists()
    of_another_part.rmdir()
    assert command_line.main(["down"]) == 0
    assert list(tmp_path.iterdir()) == []
    assert parts["openstack"].done == ["down"]


def test_a_failure_is_told_and_does_not_stop_the_others(
    parts: dict[str, FakePart], capsys: pytest.CaptureFixture[str]
) -> None:
    parts["openstack"].error = RuntimeError("no such database")
    assert command_line.main(["up"]) == 1
    output = capsys.readouterr()
    assert "openstack: up failed: no such database" in output.err
    assert "kubernetes: up after" in output.err
    assert "openstack   server          down" in output.out


def test_the_first_failure_of_an_installation_stops_the_others_and_is_said_last(
    parts: dict[str, FakePart], capsys: pytest.CaptureFixture[str]
) -> None:
    parts["kubernetes"].command = ("sh", "-c", "sleep 60; exit 1")
    parts["whole"].command = ("setsid", "sh", "-c", "sleep 60 & wait")
    parts["openstack"].command = ("sh", "-c", "echo a warning; echo no such folder >&2; exit 3")
    begin = time.monotonic()
    server = (sys.executable, "-c", "input()")  # as another test may have started one
    with subprocess.Popen(server, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as bystander:
        assert command_line.main(["install"]) == 1
        assert bystander.poll() is None
    assert time.monotonic() - begin < 20
    last = capsys.readouterr().err.splitlines()[-1]
    said = re.fullmatch(
        r"openstack: install failed: sh failed: no such folder \(all it printed: (.*)\)", last
    )
    assert said is not None
    assert "a warning" in Path(said[1]).read_text()
    done = {name for name, each in parts.items() if each.done == ["install"]}
    assert done == {"sources", "buckets"}


def test_waiting_is_reported(
    parts: dict[str, FakePart],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(command_line, "REPORT_SECONDS", 0.05)
    parts["sources"].meeting = threading.Barrier(1, action=lambda: time.sleep(0.3))
    assert command_line.main(["up", "sources"]) == 0
    assert "sources: up, 0 s so far" in capsys.readouterr().err


def test_an_unknown_part_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command_line.main(["up", "swift"])
    assert "there is no part swift" in capsys.readouterr().err


def test_nothing_starts_without_its_packages(
    parts: dict[str, FakePart],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(packages, "missing", lambda *_: ["cpio"])
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert command_line.main(["up"]) == 1
    assert "cpio" in capsys.readouterr().err
    assert [part.done for part in parts.values()] == [[]] * len(parts)


def test_only_what_runs_is_exported(monkeypatch: pytest.MonkeyPatch) -> None:
    kubernetes = Kubernetes()
    pids: list[int | None] = [1, 2]
    monkeypatch.setattr(Kubernetes, "status", lambda _: [("server", pid, "") for pid in pids])
    monkeypatch.setattr(Kubernetes, "kubectl", kubernetes.folder / "my bin" / "kubectl")
    assert list(command_line.exports({"kubernetes": kubernetes})) == [
        f"export KUBECONFIG={kubernetes.kubeconfig}",
        f"export PATH='{kubernetes.folder}/my bin':$PATH",
    ]
    pids[1] = None
    assert list(command_line.exports({"kubernetes": kubernetes})) == []
