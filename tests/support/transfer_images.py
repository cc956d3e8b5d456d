"""Small disk images for tests: a partitioned raw disk, and it in every format of qemu-img."""

import random
import struct
import subprocess
from pathlib import Path

MIB = 2**20

DISK_SIZE = 16 * MIB
"""Of the disk that tests share."""


def raw_disk(path: Path, size: int) -> None:
    """Write a raw disk with an MBR partition and some data between holes, the same at each run."""
    data = random.Random(size)
    with path.open("wb") as file:
        file.truncate(size)
        entry = struct.pack(
            "<B3sB3sII", 0x80, b"\x20\x21\0", 0x83, b"\xff" * 3, 2048, size // 512 - 2048
        )
        file.seek(446)
        file.write(entry)
        file.seek(510)
        file.write(b"\x55\xaa")
        for offset in range(MIB, size, 2 * MIB):
            file.seek(offset)
            file.write(data.randbytes(300_000))
            file.write(b"compressible " * 20_000)


def qemu_img(*words: str | Path) -> None:
    """Run qemu-img, which must succeed."""
    command = ["qemu-img", *map(str, words)]
    subprocess.run(command, check=True, timeout=60, stdout=subprocess.DEVNULL)


def make(
    disk: Path, target: Path, qemu_format: str, options: str = "", *, compress: bool = False
) -> None:
    """Convert a raw disk with qemu-img."""
    words = [
        "-O",
        qemu_format,
        *(["-c"] if compress else []),
        *(["-o", options] if options else []),
    ]
    qemu_img("convert", "-f", "raw", *words, disk, target)
