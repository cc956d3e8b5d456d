"""Where the test bed keeps what it builds once (the cache) and what runs now (the state)."""

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def cache_dir() -> Path:
    """Return the per-user folder of things built once: binaries, the OpenStack venv, images."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    path = Path(os.environ.get("TESTBED_CACHE") or Path(base) / "cloudimage-operator")
    path.mkdir(parents=True, exist_ok=True)
    return path


def state_dir() -> Path:
    """Return the folder of the running bed: one for each checkout, or ``TESTBED_STATE``.

    It is under the system's temporary folder and not in the checkout because PostgreSQL runs as
    another user, who cannot enter a home folder.
    """
    checkout = hashlib.sha256(str(REPOSITORY).encode()).hexdigest()[:8]
    default = Path(tempfile.gettempdir()) / f"cloudimage-testbed-{os.getuid()}-{checkout}"
    path = Path(os.environ.get("TESTBED_STATE") or default)
    path.mkdir(parents=True, exist_ok=True, mode=0o755)
    return path


def forget_state() -> None:
    """Remove the state folder if nothing is left in it."""
    with contextlib.suppress(OSError):
        state_dir().rmdir()


def demo_folder() -> Path:
    """Return the folder of the demo's operator: its log, its kubeconfig, its scratch."""
    return state_dir() / "demo"
