"""A real Debian's files, as mmdebstrap makes them; for tests that read file systems."""

import hashlib
from pathlib import Path

from filelock import FileLock

from testbed.images.programs import run
from testbed.paths import cache_dir

SUITE = "bookworm"


def debian_root(*packages: str) -> Path:
    """Return a tar archive of Debian's smallest system with packages, made once; takes a minute."""
    names = ",".join(sorted(packages))
    digest = hashlib.sha256(f"{SUITE} {names}".encode()).hexdigest()[:12]
    folder = cache_dir() / "images"
    folder.mkdir(exist_ok=True)
    archive = folder / f"debian-root-{digest}.tar"
    with FileLock(folder / f"debian-root-{digest}.lock"):
        if not archive.exists():
            made = archive.with_suffix(".new")
            what = ("--variant=minbase", f"--include={names}", "--format=tar")
            run("mmdebstrap", "--quiet", *what, SUITE, made)
            made.replace(archive)
    return archive
