"""The virtual environment of the OpenStack services, built once for each lock file."""

import hashlib
import shutil
import sys
from pathlib import Path

from testbed.commands import run, uv
from testbed.paths import REPOSITORY, cache_dir
from testbed.process import bed_lock

LOCK = REPOSITORY / "requirements" / "openstack.txt"
BOOT_LOCK = REPOSITORY / "requirements" / "boot.txt"
"""With what a bed needs whose servers really boot."""


def location(lock: Path = LOCK) -> Path:
    """Return where the environment of a lock file and this Python is, installed or not."""
    digest = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()
    return cache_dir() / f"openstack-{digest[:12]}"


def install(lock: Path = LOCK) -> None:
    """Build the environment unless it is complete; half of one is thrown away.

    It is built in place with a stamp as the last step: console scripts hold the path of their
    interpreter, so it could not be renamed. The byte code is compiled here because it halves the
    start of the services, even where ``PYTHONDONTWRITEBYTECODE`` is set.
    """
    venv = location(lock)
    stamp = venv / "complete"
    if not stamp.exists():
        with bed_lock(venv):
            if not stamp.exists():
                _build(venv, lock)
                stamp.touch()


def _build(venv: Path, lock: Path) -> None:
    shutil.rmtree(venv, ignore_errors=True)  # it does not exist at first
    python = venv / "bin/python"
    run(uv(), "venv", "--python", sys.executable, venv)
    run(
        *(uv(), "pip", "install", "--python", python),
        *("--require-hashes", "--compile-bytecode", "-r", lock),
    )
