"""The system's programs that the test bed needs, from the distribution's own packages."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Need:
    """A package of Debian and Ubuntu, and how to tell that what it has is there.

    Attributes:
        package: Its name.
        part: Who needs it: a part of the test bed, or ``images``.
        programs: What must be on PATH, whichever package it came from.
        pattern: A file below ``/`` that must exist, for what is not on PATH.
    """

    package: str
    part: str
    programs: tuple[str, ...] = ()
    pattern: str = ""

    def is_met(self) -> bool:
        """Tell whether everything is there."""
        programs = all(shutil.which(name) for name in self.programs)
        return programs and (not self.pattern or any(Path("/").glob(self.pattern)))


NEEDS = (
    Need("postgresql", "openstack", pattern="usr/lib/postgresql/*/bin/initdb"),
    Need("qemu-utils", "openstack", ("qemu-img", "qemu-nbd")),
    Need("libseccomp2", "images", pattern="usr/lib/*/libseccomp.so.2"),
    Need("gpgv", "images", ("gpgv",)),
    Need("gpg", "images", ("gpg",)),  # signs in tests; the operator only verifies, with gpgv
    Need("gzip", "images", ("gzip",)),
    Need("xz-utils", "images", ("xz",)),
    Need("bzip2", "images", ("bzip2",)),
    Need("zstd", "images", ("zstd",)),
    Need("xorriso", "images", ("xorriso",)),
    Need("e2fsprogs", "images", pattern="usr/sbin/mke2fs"),
    # The image that boots: a boot loader, a file system without mounting it, a user space.
    Need("syslinux", "images", ("syslinux",)),
    Need("syslinux-common", "images", pattern="usr/lib/syslinux/mbr/mbr.bin"),
    Need("mtools", "images", ("mformat", "mcopy")),
    Need("busybox-static", "images", ("busybox",), "usr/share/doc/busybox-static"),
    Need("cpio", "images", ("cpio",)),
    Need("qemu-system-x86", "images", ("qemu-system-x86_64",)),
    # The container image, and the cluster that runs it.
    Need("mmdebstrap", "whole", ("mmdebstrap",)),
    Need("buildah", "whole", ("buildah",)),
    Need("containerd", "whole", ("containerd", "ctr")),
    Need("runc", "whole", ("runc",)),
    Need("containernetworking-plugins", "whole", pattern="usr/lib/cni/bridge"),
    Need("iptables", "whole", ("iptables",)),
    Need("iproute2", "whole", ("ip",)),
)
# Only root can use what "whole" has: it installs that by itself where it can be used.
PARTS = tuple(dict.fromkeys(need.part for need in NEEDS if need.part != "whole"))
# Read by postgresql-common when PostgreSQL is installed.
POSTGRESQL_DROP_IN = Path("/etc/postgresql-common/createcluster.d/cloudimage-testbed.conf")


class MissingPackagesError(RuntimeError):
    """Packages are missing and cannot be installed from here; the message is the command to run."""


def missing(*parts: str) -> list[str]:
    """Return the packages of which something is not there; for all parts when none is named."""
    wanted = parts or PARTS
    return [need.package for need in NEEDS if need.part in wanted and not need.is_met()]


def ensure(*parts: str) -> None:
    """Install what the parts miss, when that is possible without asking for a password.

    Raises:
        MissingPackagesError: It is not.
    """
    packages = missing(*parts)
    if not packages:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise MissingPackagesError(advice(packages))
    _apt_get("update")
    with _without_default_cluster():
        _apt_get("install", "-y", "--no-install-recommends", *packages)


def advice(packages: list[str]) -> str:
    """Return what the user must do, as one command where we know it."""
    names = " ".join(packages)
    if shutil.which("apt-get") is None:
        return f"# install what your distribution calls {names}"
    return f"sudo apt-get update && sudo apt-get install -y --no-install-recommends {names}"


def _apt_get(*words: str) -> None:
    """Run apt-get without questions; what it says is progress, so it goes to standard error."""
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "-q", *words], env=env, stdout=sys.stderr, check=True)  # noqa: S607 - Debian has it on PATH


@contextlib.contextmanager
def _without_default_cluster() -> Iterator[None]:
    """Keep PostgreSQL's package from creating and starting a server that nobody asked for."""
    POSTGRESQL_DROP_IN.parent.mkdir(parents=True, exist_ok=True)
    POSTGRESQL_DROP_IN.write_text("create_main_cluster = false\n")
    try:
        yield
    finally:
        POSTGRESQL_DROP_IN.unlink()
        with contextlib.suppress(OSError):  # somebody else's files are in it
            POSTGRESQL_DROP_IN.parent.rmdir()


if __name__ == "__main__":
    try:
        ensure()
    except MissingPackagesError as error:
        sys.exit(str(error))
