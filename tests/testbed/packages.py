"""The system's programs that the test bed needs, from the distribution's own packages.

It needs the standard library only, since it runs before anything is installed:
``python3 -m testbed.packages [part ...]``.
"""

import contextlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO


@dataclass(frozen=True)
class Need:
    """A package of Debian and Ubuntu, and how to tell that what it has is there.

    Attributes:
        package: Its name.
        part: Who needs it: a part of the test bed, ``images``, ``bench`` or ``python``.
        programs: What must be on PATH, whichever package it came from.
        pattern: A file below ``/`` that must exist, for what is not on PATH.
        module: A module that the Python which runs this must have.
    """

    package: str
    part: str
    programs: tuple[str, ...] = ()
    pattern: str = ""
    module: str = ""

    def is_met(self) -> bool:
        """Return whether everything is there."""
        programs = all(shutil.which(name) for name in self.programs)
        module = not self.module or importlib.util.find_spec(self.module) is not None
        return programs and module and (not self.pattern or any(Path("/").glob(self.pattern)))


NEEDS = (
    Need("python3-venv", "python", module="ensurepip"),
    Need("postgresql", "openstack", pattern="usr/lib/postgresql/*/bin/initdb"),
    Need("qemu-utils", "openstack", ("qemu-img", "qemu-nbd")),
    Need("libseccomp2", "images", pattern="usr/lib/*/libseccomp.so.2"),
    Need("gpgv", "images", ("gpgv",)),
    # These sign in tests; the operator only verifies, with gpgv.
    Need("gpg", "images", ("gpg",)),
    Need("gpg-agent", "images", ("gpg-agent",)),
    Need("gzip", "images", ("gzip",)),
    Need("xz-utils", "images", ("xz",)),
    Need("bzip2", "images", ("bzip2",)),
    Need("zstd", "images", ("zstd",)),
    Need("xorriso", "images", ("xorriso",)),
    Need("e2fsprogs", "images", pattern="usr/sbin/mke2fs"),
    # Guests' file systems: read by the operator, and made in tests without mounting them.
    Need("grub-common", "images", pattern="usr/bin/grub-fstest"),
    Need("xfsprogs", "images", pattern="usr/sbin/mkfs.xfs"),
    Need("btrfs-progs", "images", pattern="usr/*bin/mkfs.btrfs"),
    Need("dosfstools", "images", pattern="usr/sbin/mkfs.fat"),
    Need("fdisk", "images", pattern="usr/sbin/sfdisk"),
    # The image that boots: a boot loader, a file system without mounting it, a user space.
    Need("syslinux", "images", ("syslinux",)),
    Need("syslinux-common", "images", pattern="usr/lib/syslinux/mbr/mbr.bin"),
    Need("mtools", "images", ("mformat", "mcopy")),
    Need("busybox-static", "images", ("busybox",), "usr/share/doc/busybox-static"),
    Need("cpio", "images", ("cpio",)),
    Need("qemu-system-x86", "images", ("qemu-system-x86_64",)),
    # A server's side of SSH: in guests, and for tests of the login.
    Need("dropbear-bin", "images", ("dropbear", "dropbearkey")),
    Need("openssh-client", "images", ("ssh-keygen",)),
    Need("openssh-server", "images", pattern="usr/sbin/sshd"),
    Need("curl", "bench", ("curl",)),  # what a user would do otherwise
    # The container image, and the cluster that runs it.
    Need("mmdebstrap", "whole", ("mmdebstrap",)),
    Need("buildah", "whole", ("buildah",)),
    # Newer ones of buildah want it even for a container without a network.
    Need("netavark", "whole", pattern="usr/lib/podman/netavark"),
    Need("busybox-static", "whole", ("busybox",)),  # all that is in a pod's sandbox
    Need("containerd", "whole", ("containerd", "ctr")),
    Need("runc", "whole", ("runc",)),
    Need("containernetworking-plugins", "whole", pattern="usr/lib/cni/bridge"),
    Need("iptables", "whole", ("iptables",)),
    Need("iproute2", "whole", ("ip",)),
    # Servers that really boot, and what is in them; the last ones build libvirt's Python module.
    Need("libvirt-daemon", "boot", ("libvirtd",)),
    Need(
        "libvirt-daemon-driver-qemu", "boot", pattern="usr/lib/*/libvirt/*/libvirt_driver_qemu.so"
    ),
    Need("qemu-system-x86", "boot", ("qemu-system-x86_64",)),
    Need("xorriso", "boot", ("xorrisofs",)),  # config drives
    Need("openvswitch-switch", "boot", ("ovs-vswitchd", "ovsdb-server", "ovs-vsctl")),
    Need("ovn-central", "boot", ("ovn-northd",)),
    Need("ovn-host", "boot", ("ovn-controller",)),
    Need("iproute2", "boot", ("ip",)),
    Need("kmod", "boot", pattern="usr/sbin/modprobe"),
    Need("mmdebstrap", "boot", ("mmdebstrap",)),
    Need("libvirt-dev", "boot", pattern="usr/include/libvirt/libvirt.h"),
    Need("pkg-config", "boot", ("pkg-config",)),
    Need("gcc", "boot", ("gcc",)),
    Need("libc6-dev", "boot", pattern="usr/include/stdio.h"),
    Need("python3-dev", "boot", pattern="usr/include/python3*/Python.h"),
    # Steps in an image: libguestfs, and what its appliance and a guest are made of.
    Need("libguestfs-tools", "customize", ("virt-sysprep", "libguestfs-make-fixed-appliance")),
    Need("libguestfs-xfs", "customize", pattern="usr/lib/*/guestfs/supermin.d/packages-xfs"),
    Need("kmod", "customize", pattern="usr/sbin/depmod"),
    Need("mmdebstrap", "customize", ("mmdebstrap",)),
    Need("e2fsprogs", "customize", pattern="usr/sbin/mke2fs"),
    # For clusters of kind where no Docker answers.
    Need("docker.io", "docker", ("dockerd",)),
    Need("docker-cli", "docker-cli", ("docker",)),
)
# Only root can use what these have, and installs it only where it can be used.
_OF_ROOT = {"whole", "boot", "customize", "docker", "docker-cli"}
PARTS = tuple(dict.fromkeys(need.part for need in NEEDS if need.part not in _OF_ROOT))
# Read by postgresql-common when PostgreSQL is installed.
POSTGRESQL_DROP_IN = Path("/etc/postgresql-common/createcluster.d/cloudimage-testbed.conf")
# Asked by every package that would start a server; a machine's own answer stays.
POLICY = Path("/usr/sbin/policy-rc.d")
PYTHON = (3, 11)
"""The oldest Python for which the project works."""


class MissingPackagesError(RuntimeError):
    """Packages are missing and could not be installed; the message says what to do."""


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
    print(f"installing Debian's packages: {' '.join(packages)}", file=sys.stderr, flush=True)
    with tempfile.NamedTemporaryFile("w", prefix="apt-get-", suffix=".log", delete=False) as log:
        try:
            _apt_get(log, "update")
            with _without_default_cluster(), _without_servers():
                _apt_get(log, "install", "-y", "--no-install-recommends", *packages)
        except subprocess.CalledProcessError as error:
            raise MissingPackagesError(_why(error, Path(log.name))) from error
    Path(log.name).unlink()


def advice(packages: list[str]) -> str:
    """Return what the user must do, as one command where we know it."""
    names = " ".join(packages)
    command = f"sudo apt-get update && sudo apt-get install -y --no-install-recommends {names}"
    if shutil.which("apt-get") is None:
        command = f"# install what your distribution calls {names}"
    return f"packages of the system are missing; run this first:\n  {command}"


def _apt_get(log: IO[str], *words: str) -> None:
    """Run apt-get without questions; what it says goes to the log."""
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "-q", *words]
    subprocess.run(command, env=env, stdout=log, stderr=subprocess.STDOUT, check=True)


def _why(error: subprocess.CalledProcessError, log: Path) -> str:
    """Return what apt-get calls an error, and where the rest is."""
    errors = [line for line in log.read_text().splitlines() if line.startswith("E: ")]
    why = " ".join(errors) or f"exit status {error.returncode}"
    return f"{' '.join(error.cmd[:3])} failed: {why} (all it printed: {log})"


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


@contextlib.contextmanager
def _without_servers() -> Iterator[None]:
    """Keep Docker's package and others from starting servers: 101 is "not allowed".

    https://people.debian.org/~hmh/invokerc.d-policyrc.d-specification.txt
    """
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()


def main(parts: Sequence[str]) -> str | None:
    """Install what the parts miss; return what is wrong where that is not possible, or None."""
    if sys.version_info < PYTHON:
        return (
            f"Python {sys.version.split()[0]} is too old: run make with PYTHON=python3.11 or later"
        )
    try:
        ensure(*parts)
    except MissingPackagesError as error:
        return str(error)
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
