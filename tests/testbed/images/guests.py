"""Images of servers that do all that an image should, and such that leave one thing undone.

They boot in seconds without KVM: the kernel and busybox of the image that boots, and dropbear.
Their "cloud-init" is some lines of ``guest_init``, which run a ``#!/bin/sh`` of the user-data.
"""

import gzip
import hashlib
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from testbed.images import bootable
from testbed.images.programs import run
from testbed.paths import cache_dir

LOGIN_PROMPT = " login: "
"""What the console ends with when the guest has booted."""

_HERE = Path(__file__).parent
_SERIAL = "console=tty0 console=ttyS0,115200"
_MODULES = ("virtio_pci", "virtio_net", "virtio_blk", "virtio_rng", "isofs", "sr_mod", "ata_piix")
_DECOMPRESSORS = {".xz": ("xz", "-dc"), ".zst": ("zstd", "-dc")}
_PROGRAMS = (Path("/usr/sbin/dropbear"), Path("/usr/bin/dropbearkey"))
_FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
    "etc/group": "root:x:0:\n",
    "etc/shells": "/bin/sh\n",
    "etc/nsswitch.conf": "passwd: files\n",
}


@dataclass(frozen=True)
class Guest:
    """An image.

    Attributes:
        name: What is with it.
        options: The kernel's command line.
        boot_code: Whether its boot record has a program for the BIOS.
    """

    name: str
    options: str = _SERIAL
    boot_code: bool = True

    @property
    def is_silent(self) -> bool:
        """Return whether nothing writes on the serial port."""
        return "ttyS0" not in self.options


GUESTS = {
    guest.name: guest
    for guest in (
        Guest("good"),
        Guest("no-boot-code", boot_code=False),
        Guest("panics", f"{_SERIAL} rdinit=/none panic=0"),
        # All is well with it, but there is no serial port that Nova could read.
        Guest("silent", "console=tty0 8250.nr_uarts=0"),
        *(
            Guest(f"without-{what}", f"{_SERIAL} guest.without={what}")
            # "shell": the key lets root in for a command only. "second": the second interface.
            for what in ("cloud-init", "key", "shell", "ipv4", "ipv6", "second")
        ),
    )
}


def guest_qcow2(name: str) -> Path:
    """Return an image of :data:`GUESTS`, made once for each version of what is in it."""
    guest = GUESTS[name]
    package, version = bootable.kernel_package()
    digest = hashlib.sha256(version.encode())
    for part in (__file__, _HERE / "guest_init", _HERE / "udhcpc.script", bootable.__file__):
        digest.update(Path(part).read_bytes())
    for program in (bootable.BUSYBOX, *_PROGRAMS):
        digest.update(program.read_bytes())
    folder = cache_dir() / "images" / f"guests-{digest.hexdigest()[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    image = folder / f"{name}.qcow2"
    with FileLock(folder / ".lock"):
        if not (folder / "initrd").exists():
            _prepare(package, folder)
        if not image.exists():
            _make(guest, folder, image)
    return image


def _prepare(package: str, folder: Path) -> None:
    """Make the kernel and the initramfs, which all have."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        scratch = Path(name)
        root = scratch / "root"
        for path in ("bin", "etc", "modules"):
            (root / path).mkdir(parents=True)
        run("apt-get", "-q", "download", package, cwd=scratch)
        (archive,) = scratch.glob("*.deb")
        run("dpkg-deb", "-x", archive, scratch / "kernel")
        _copy_modules(scratch / "kernel", root / "modules")
        _copy_programs(root)
        for path, text in _FILES.items():
            (root / path).write_text(text)
        (kernel,) = (scratch / "kernel/boot").glob("vmlinuz-*")
        kernel.replace(folder / "vmlinuz")
        (scratch / "initrd").write_bytes(_packed(root))
        (scratch / "initrd").replace(folder / "initrd")


def _copy_modules(kernel: Path, to: Path) -> None:
    """Copy what a virtual machine needs, and list it in the order in which it is loaded."""
    (modules,) = (kernel / "lib/modules").iterdir()
    run("depmod", "-b", kernel, modules.name)
    order = []
    for name in _MODULES:
        words = ["modprobe", "-d", str(kernel), "-S", modules.name, "--show-depends", name]
        shown = subprocess.run(words, capture_output=True, text=True, check=False).stdout
        order += [Path(path) for path in re.findall(r"^insmod (\S+)", shown, re.MULTILINE)]
    with (to / "order").open("w") as listed:
        for path in dict.fromkeys(order):
            name = path.name.partition(".ko")[0] + ".ko"
            command = _DECOMPRESSORS.get(path.suffix, ("cat",))
            run(*command, path, stdout=to / name)
            listed.write(f"{name}\n")


def _copy_programs(root: Path) -> None:
    """Copy the programs, and those of others with their libraries, where they are here."""
    shutil.copy(bootable.BUSYBOX, root / "bin/busybox")
    for source, name in (("guest_init", "init"), ("udhcpc.script", "etc/udhcpc.script")):
        shutil.copy(_HERE / source, root / name)
        (root / name).chmod(0o755)
    words = ["ldd", *map(str, _PROGRAMS)]
    shown = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    libraries = map(Path, set(re.findall(r"(/[^\s:]+\.so[^\s:]*)", shown)))
    for path in (*_PROGRAMS, *libraries):
        target = root / path.relative_to("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)


def _packed(root: Path) -> bytes:
    names = "\n".join(sorted(str(path.relative_to(root)) for path in root.rglob("*")))
    pack = ["cpio", "--quiet", "-o", "-H", "newc", "-R", "0:0", "--reproducible"]
    done = subprocess.run(pack, cwd=root, input=names.encode(), capture_output=True, check=True)
    return gzip.compress(done.stdout, mtime=0)


def _make(guest: Guest, folder: Path, image: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as name:
        scratch = Path(name)
        config = bootable.syslinux_config(
            f"{guest.options} net.ifnames=0", serial=not guest.is_silent
        )
        (scratch / "syslinux.cfg").write_text(config)
        bootable.make_disk(
            scratch / "qcow2",
            [folder / "vmlinuz", folder / "initrd", scratch / "syslinux.cfg"],
            boot_code=guest.boot_code,
        )
        (scratch / "qcow2").replace(image)
