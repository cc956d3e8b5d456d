"""What customizing needs: libguestfs' appliance, and a small Debian to do it to."""

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from testbed.images.programs import run
from testbed.paths import REPOSITORY, cache_dir

_SUITE = os.environ.get("TESTBED_DEBIAN", "bookworm")
_MAKER = REPOSITORY / "tools" / "make-appliance"
_DISK = "768M"
# systemd has units to enable, tzdata the time zones.
_PACKAGES = "systemd,tzdata"
_LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*")


def appliance() -> Path:
    """Return the folder of a fixed appliance, made once for each version of libguestfs."""
    command = ["dpkg-query", "--show", "libguestfs0", "guestfs-tools", "libguestfs-xfs"]
    version = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return _made("appliance", version.encode() + _MAKER.read_bytes(), _make_appliance)


def small_debian() -> Path:
    """Return a qcow2 with a Debian in one ext4, without kernel and boot loader; made once."""
    return _made("debian", f"{_SUITE} {_PACKAGES} {_DISK}".encode(), _make_debian)


def _made(name: str, recipe: bytes, make: Callable[[Path], None]) -> Path:
    folder = cache_dir() / "images"
    folder.mkdir(exist_ok=True)
    digest = hashlib.sha256(recipe).hexdigest()[:12]
    place = folder / f"{name}-{digest}"
    with FileLock(folder / f".libguestfs-{name}.lock"):
        if not place.exists():
            with tempfile.TemporaryDirectory(dir=folder) as scratch:
                made = Path(scratch) / name
                make(made)
                made.replace(place)
    return place


def _make_appliance(folder: Path) -> None:
    run(_MAKER, folder)


def _make_debian(image: Path) -> None:
    scratch = image.parent
    tar, root, disk = scratch / "root.tar", scratch / "root", scratch / "disk"
    excluded = [f"--dpkgopt=path-exclude={each}" for each in _LEFT_OUT]
    run(
        *("mmdebstrap", "--quiet", "--variant=minbase", f"--include={_PACKAGES}"),
        *(*excluded, _SUITE, tar),
    )
    root.mkdir()
    run("tar", "--directory", root, "--extract", "--file", tar)
    run("mke2fs", "-q", "-t", "ext4", "-L", "root", "-d", root, disk, _DISK)
    run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", disk, image)
