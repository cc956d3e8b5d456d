"""What a virtual machine with a network is started by, under the confinement of tools."""

import os
import subprocess
from pathlib import Path

import pytest

from cloudimage.transfer.customize.network.machine import with_network
from cloudimage.transfer.tools.machine import Machine

PYTHON = Path("/usr/bin/python3")
"""The system's; the container image has its packages in a virtual environment of it."""


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    folder = tmp_path / "machine"
    folder.mkdir()
    return Machine(
        folder=folder,
        readable=(),
        environment={},
        memory=2**30,
        cpu_seconds=60,
        most_output=2**20,
        seconds=60,
    )


@pytest.mark.skipif(not PYTHON.exists(), reason="this system's Python is elsewhere")
def test_python_starts_although_a_virtual_environment_comes_first(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    venv = tmp_path / "venv"
    subprocess.run([PYTHON, "-m", "venv", "--without-pip", venv], check=True)
    monkeypatch.setenv("PATH", f"{venv}/bin{os.pathsep}{os.environ['PATH']}")
    lines: list[str] = []
    networked = with_network(machine, tmp_path / "proxy.sock")
    # As the first line of restricted_qemu.py says.
    words = ("env", "-S", "python3 -I", "-c", "import sys; print(sys.prefix)")
    ended = networked.run(words, lines.append)
    assert (ended.status, lines) == (0, ["/usr"]), ended.stderr
