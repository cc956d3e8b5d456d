"""The system's packages: what is missed, who may install it, and PostgreSQL without a server."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import pytest

from testbed import packages
from testbed.packages import MissingPackagesError, Need


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """A Debian on which we are root; the list is of apt-get's arguments."""
    calls: list[tuple[str, ...]] = []
    drop_in = tmp_path / "createcluster.d" / "testbed.conf"
    policy, subprocess_run = tmp_path / "policy-rc.d", subprocess.run

    def run(command: Sequence[str], **_: Any) -> None:
        if "install" in command:
            assert drop_in.read_text() == "create_main_cluster = false\n"
            assert subprocess_run([policy]).returncode == 101
        calls.append(tuple(command))

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda name: name if name == "apt-get" else None)
    monkeypatch.setattr(packages, "POSTGRESQL_DROP_IN", drop_in)
    monkeypatch.setattr(packages, "POLICY", policy)
    needs = (
        Need("absent", "openstack", ("qemu-img",)),
        Need("there", "openstack", pattern="etc/hostname"),
        Need("gone", "images", pattern="usr/lib/nothing/*/bin/initdb"),
    )
    monkeypatch.setattr(packages, "NEEDS", needs)
    return calls


def test_only_what_is_missing_is_installed(apt: list[tuple[str, ...]]) -> None:
    packages.ensure()
    assert apt == [
        ("apt-get", "-q", "update"),
        ("apt-get", "-q", "install", "-y", "--no-install-recommends", "absent", "gone"),
    ]
    assert not packages.POSTGRESQL_DROP_IN.parent.exists()
    assert not packages.POLICY.exists()


def test_the_machines_own_answer_to_starting_servers_stays(apt: list[tuple[str, ...]]) -> None:
    packages.POLICY.write_text("#!/bin/sh\nexit 101 # ours\n")
    packages.POLICY.chmod(0o755)
    packages.ensure()
    assert "ours" in packages.POLICY.read_text()
    assert len(apt) == 2


def test_only_what_the_parts_need_is_installed(apt: list[tuple[str, ...]]) -> None:
    packages.ensure("kubernetes")
    assert apt == []
    packages.ensure("kubernetes", "openstack")
    assert apt[-1][-2:] == ("--no-install-recommends", "absent")


def test_who_is_not_root_gets_the_command(
    apt: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(MissingPackagesError, match=r"\n  sudo apt-get update && .* absent gone$"):
        packages.ensure()
    assert apt == []


def test_another_distribution_gets_the_names(
    apt: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(MissingPackagesError, match="your distribution calls absent gone"):
        packages.ensure()
    assert apt == []


def test_a_failed_install_leaves_postgresql_as_it_was(
    apt: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(command: Sequence[str], stdout: IO[str], **_: Any) -> None:
        apt.append(tuple(command))
        if "install" in command:
            stdout.write("W: a warning\nE: Unable to locate package absent\n")
            stdout.flush()
            raise subprocess.CalledProcessError(100, list(command))

    monkeypatch.setattr(subprocess, "run", fail)
    words = (
        r"^apt-get -q install failed: E: Unable to locate package absent \(all it printed: (.*)\)"
    )
    with pytest.raises(MissingPackagesError, match=words) as refused:
        packages.ensure()
    log = re.search(words, str(refused.value))
    assert log is not None
    assert "a warning" in Path(log[1]).read_text()
    assert not packages.POSTGRESQL_DROP_IN.exists()


def test_an_old_python_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "PYTHON", (99, 0))
    assert "PYTHON=python3.11" in (packages.main([]) or "")


def test_a_missing_module_of_python_is_a_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    needs = (Need("there", "python", module="json"), Need("absent", "python", module="no_such"))
    monkeypatch.setattr(packages, "NEEDS", needs)
    assert packages.missing() == ["absent"]


def test_what_setup_has_installed_is_found_where_it_is_looked_for() -> None:
    assert packages.missing() == []
