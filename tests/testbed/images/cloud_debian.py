"""A Debian with the real cloud-init, systemd and OpenSSH, from Debian's packages; as root.

Nothing is mounted: the root's file system is made of a folder, and the boot loader is that of the
image that boots, on a partition of its own.
"""

import hashlib
import shutil
import tempfile
from pathlib import Path

from filelock import FileLock

from testbed.images import bootable, mbr
from testbed.images.programs import run
from testbed.paths import cache_dir

SUITE = "bookworm"
PACKAGES = (
    *("linux-image-cloud-amd64", "initramfs-tools", "systemd-sysv", "udev", "iproute2"),
    *("cloud-init", "netplan.io", "openssh-server", "sudo", "ca-certificates"),
)
DISK_BYTES = 2 << 30
_BOOT_SECTORS = 128 << 11
"""The first partition's: 128 MiB."""

_OPTIONS = "root=LABEL=root ro console=tty0 console=ttyS0,115200 net.ifnames=0"
# What Debian's own images for clouds have, but for a list of mirrors.
_CLOUD_CONFIG = """\
apt_preserve_sources_list: true
# No package of locales is there.
locale: false
system_info:
  distro: debian
"""
_LEFT_OUT = ("etc/ssh/ssh_host_*", "var/cache/apt/archives/*.deb", "var/lib/apt/lists/*_*")


def cloud_debian_qcow2() -> Path:
    """Return the image, made once for each version of the kernel's package and of this recipe."""
    _, version = bootable.kernel_package()
    digest = hashlib.sha256(version.encode())
    for part in (__file__, bootable.__file__):
        digest.update(Path(part).read_bytes())
    folder = cache_dir() / "images"
    folder.mkdir(exist_ok=True)
    image = folder / f"cloud-debian-{digest.hexdigest()[:12]}.qcow2"
    with FileLock(folder / ".cloud-debian.lock"):
        if not image.exists():
            with tempfile.TemporaryDirectory(dir=folder) as scratch:
                _make(Path(scratch), image)
    return image


def _make(scratch: Path, image: Path) -> None:
    root = scratch / "root"
    include = f"--include={','.join(PACKAGES)}"
    run("mmdebstrap", "--quiet", "--variant=minbase", include, SUITE, root)
    for pattern in _LEFT_OUT:
        for path in root.glob(pattern):
            path.unlink()
    (root / "etc/machine-id").write_text("")
    (root / "etc/hostname").unlink(missing_ok=True)
    (root / "etc/fstab").write_text("LABEL=root / ext4 defaults 0 1\n")
    (root / "etc/cloud/cloud.cfg.d/50_image.cfg").write_text(_CLOUD_CONFIG)
    (scratch / "syslinux.cfg").write_text(bootable.syslinux_config(_OPTIONS))
    for name in ("vmlinuz", "initrd"):
        (path,) = (root / "boot").glob(f"{name}*")
        shutil.move(path, scratch / name)
    disk = scratch / "disk"
    boot = mbr.Partition(_BOOT_SECTORS, mbr.FAT16, bootable=True)
    first = boot.first + boot.sectors
    system = mbr.Partition(DISK_BYTES // mbr.SECTOR_BYTES - first, first=first)
    with disk.open("wb") as file:
        file.write(mbr.record(boot, system, disk_id=1, code=bootable.BOOT_CODE.read_bytes()))
        file.truncate(DISK_BYTES)
    bootable.fill(
        disk, [scratch / name for name in ("vmlinuz", "initrd", "syslinux.cfg")], boot.sectors
    )
    place = ("-E", f"offset={first * mbr.SECTOR_BYTES}")
    run(
        "mke2fs",
        "-q",
        "-t",
        "ext4",
        "-L",
        "root",
        "-d",
        root,
        *place,
        disk,
        f"{system.sectors // 2}k",
    )
    bootable.compress(disk, scratch / "qcow2")
    (scratch / "qcow2").replace(image)
