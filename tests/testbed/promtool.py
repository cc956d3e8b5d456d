"""Prometheus' promtool alone, out of Debian's package, which would also start a server."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from filelock import FileLock

from testbed.packages import MissingPackagesError
from testbed.paths import cache_dir

_ADVICE = (
    "promtool is missing and could not be downloaded: run `apt-get update` as root where there is "
    "apt-get, else install Prometheus by the means of your distribution"
)


def ensure() -> Path:
    """Return the path of promtool: that on PATH, else the one in the cache, downloaded once.

    Raises:
        MissingPackagesError: It is not there, and there is no apt-get, or it knows no such package.
    """
    on_path = shutil.which("promtool")
    if on_path:
        return Path(on_path)
    folder = cache_dir() / "promtool"
    folder.mkdir(exist_ok=True)
    program = folder / "promtool"
    with FileLock(folder / ".lock"):
        if not os.access(program, os.X_OK):
            _extract(program)
    return program


def _extract(program: Path) -> None:
    with tempfile.TemporaryDirectory(dir=program.parent) as scratch:
        try:
            package = _download(Path(scratch))
        except (OSError, subprocess.CalledProcessError) as error:
            raise MissingPackagesError(_ADVICE) from error
        _run("dpkg-deb", "-x", str(package), scratch)
        (Path(scratch) / "usr" / "bin" / "promtool").rename(program)


def _download(folder: Path) -> Path:
    """Download the package that has it: from Debian 13 on one of its own."""
    if os.geteuid() == 0:
        _run("apt-get", "-q", "update")  # the lists of a fresh machine may be empty or old
    try:
        _run("apt-get", "-q", "download", "promtool", cwd=folder)
    except subprocess.CalledProcessError:
        _run("apt-get", "-q", "download", "prometheus", cwd=folder)
    [package] = folder.glob("*.deb")
    return package


def _run(*command: str, cwd: Path | None = None) -> None:
    """Run a program; what it says is progress, so it goes to standard error."""
    subprocess.run(command, cwd=cwd, stdout=sys.stderr, check=True)
