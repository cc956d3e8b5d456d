"""A small image that really boots, so that a server started from it can be seen to run.

It is Debian's cloud kernel with a busybox initramfs. Its one file system is FAT with syslinux
and not ext4 with extlinux: mtools and syslinux write FAT inside a plain file, while extlinux
wants a mounted file system, which takes root, a loop device, and a kernel that grants both.
"""

import functools
import gzip
import hashlib
import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from filelock import FileLock

from testbed.images import mbr
from testbed.images.programs import run
from testbed.paths import cache_dir

BOOT_MESSAGE = "cloudimage test image: up"
"""What the serial console (ttyS0) says when the image has booted."""

DISK_BYTES = 32 << 20
# What Debian calls it, and what Ubuntu does.
METAPACKAGES = ("linux-image-cloud-amd64", "linux-image-virtual")
BOOT_CODE = Path("/usr/lib/syslinux/mbr/mbr.bin")
BUSYBOX = Path("/bin/busybox")
OPTIONS = "console=tty0 console=ttyS0,115200 panic=-1"
SYSLINUX_CONFIG = """\
DEFAULT linux
LABEL linux
  LINUX /vmlinuz
  INITRD /initrd
  APPEND quiet {options}
"""
INIT = f"""\
#!/bin/busybox sh
/bin/busybox echo "{BOOT_MESSAGE}"
while /bin/busybox sleep 3600; do :; done
"""


def bootable_qcow2() -> Path:
    """Return the image, made once for each version of the kernel's package and of this recipe."""
    package, version = kernel_package()
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for part in (version.encode(), BUSYBOX.read_bytes(), BOOT_CODE.read_bytes()):
        digest.update(part)
    folder = cache_dir() / "images"
    folder.mkdir(exist_ok=True)
    image = folder / f"bootable-{digest.hexdigest()[:12]}.qcow2"
    with FileLock(folder / ".lock"):
        if not image.exists():
            _build(package, image)
    return image


@functools.cache  # apt takes a second
def kernel_package() -> tuple[str, str]:
    """Return the package of the kernel for virtual machines, and what changes with its version."""
    for metapackage in METAPACKAGES:
        command = ["apt-cache", "show", "--no-all-versions", metapackage]
        shown = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        package = re.search(r"Depends:.* (linux-image-\d[^\s,]+)", shown)
        version = re.search(r"Version: (\S+)", shown)
        if package and version:
            return package[1], f"{package[1]}={version[1]}"
    raise LookupError(f"apt knows none of {METAPACKAGES}; does it need `apt-get update`?")


def _build(package: str, image: Path) -> None:
    with tempfile.TemporaryDirectory(dir=image.parent) as name:
        scratch = Path(name)
        (scratch / "vmlinuz").write_bytes(_kernel(package, scratch))
        (scratch / "initrd").write_bytes(_initramfs(scratch / "root"))
        (scratch / "syslinux.cfg").write_text(syslinux_config(OPTIONS))
        files = [scratch / name for name in ("vmlinuz", "initrd", "syslinux.cfg")]
        make_disk(scratch / "qcow2", files)
        (scratch / "qcow2").replace(image)


def syslinux_config(options: str, *, serial: bool = True) -> str:
    """Return the boot loader's file for a kernel with options; ``serial``: it speaks there also."""
    return ("SERIAL 0 115200\n" if serial else "") + SYSLINUX_CONFIG.format(options=options)


def make_disk(qcow2: Path, files: list[Path], *, boot_code: bool = True) -> None:
    """Make a disk that boots of ``vmlinuz``, ``initrd`` and ``syslinux.cfg``; not without code."""
    with tempfile.TemporaryDirectory(dir=qcow2.parent) as scratch:
        disk = Path(scratch) / "disk"
        partition = mbr.Partition.of_disk(DISK_BYTES, mbr.FAT16, bootable=True)
        code = BOOT_CODE.read_bytes() if boot_code else b""
        with disk.open("wb") as file:
            file.write(mbr.record(partition, disk_id=1, code=code))
            file.truncate(DISK_BYTES)
        fill(disk, files, partition.sectors)
        compress(disk, qcow2)


def compress(disk: Path, qcow2: Path) -> None:
    """Make a qcow2 of a raw disk."""
    run("qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2", disk, qcow2)


def _kernel(package: str, scratch: Path) -> bytes:
    """Download the package and take the kernel out; nothing is installed."""
    run("apt-get", "-q", "download", package, cwd=scratch)
    (archive,) = scratch.glob("*.deb")
    run("dpkg-deb", "--fsys-tarfile", archive, stdout=scratch / "kernel.tar")
    with tarfile.open(scratch / "kernel.tar") as tar:
        path = next(name for name in tar.getnames() if name.startswith("./boot/vmlinuz-"))
        content = tar.extractfile(path)
        if content is None:
            raise LookupError(f"{path} of {package} is not a file")
        return content.read()


def _initramfs(root: Path) -> bytes:
    """Pack busybox and an init; the kernel's own built-in archive has ``/dev/console``."""
    (root / "bin").mkdir(parents=True)
    shutil.copy(BUSYBOX, root / "bin" / "busybox")
    (root / "init").write_text(INIT)
    (root / "init").chmod(0o755)
    pack = ["cpio", "--quiet", "-o", "-H", "newc", "-R", "0:0", "--reproducible"]
    names = b"bin\nbin/busybox\ninit\n"
    done = subprocess.run(pack, cwd=root, input=names, capture_output=True, check=True)
    return gzip.compress(done.stdout, mtime=0)


def fill(disk: Path, files: list[Path], sectors: int) -> None:
    """Make the file system within the disk's first partition, with a boot loader and the files."""
    drive = f"{disk}@@{mbr.FIRST_BYTE}"
    geometry = ("-T", sectors, "-h", 16, "-s", 63, "-H", mbr.FIRST_SECTOR)
    run("mformat", "-i", drive, *geometry, "-N", "1", "::")
    run("syslinux", "--install", "--offset", mbr.FIRST_BYTE, disk)
    run("mcopy", "-i", drive, *files, "::")
