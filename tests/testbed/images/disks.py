"""Disk images of any format and size, the same at each run, made in a moment."""

import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from testbed.images import mbr
from testbed.images.programs import run

Format = Literal["raw", "qcow2", "vmdk", "vdi", "vhd", "vhdx", "iso"]

CHUNK_BYTES = 1 << 20
# Glance's names that differ from qemu's, and what makes qemu keep the size to the byte.
QEMU_FORMATS = {"vhd": ("vpc", ("-o", "force_size=on"))}


class UnavailableError(RuntimeError):
    """A program is missing without which this format cannot be made."""


def disk(
    path: Path,
    image_format: Format = "qcow2",
    *,
    virtual_size: int = 8 << 20,
    data_bytes: int = 2 << 20,
    seed: int = 1,
    compress: bool = False,
) -> Path:
    """Make a disk with a partition table and data; the rest reads as zeros.

    Args:
        path: Where to; it is returned.
        image_format: Glance's name of the format.
        virtual_size: What a guest sees, in bytes. An ISO is as large as its data makes it.
        data_bytes: How much of the partition, from its start on, is data.
        seed: Another seed gives other data.
        compress: Compress the clusters (qcow2 only).

    Raises:
        UnavailableError: No program that makes ISO images is installed.
        ValueError: The data does not fit.
    """
    if image_format == "iso":
        _make_iso(path, data_bytes, seed)
    elif image_format == "raw":
        _make_raw(path, virtual_size, data_bytes, seed)
    else:
        with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
            raw = Path(scratch) / "raw"
            _make_raw(raw, virtual_size, data_bytes, seed)
            _convert(raw, path, image_format, compress=compress)
    return path


def _make_raw(path: Path, virtual_size: int, data_bytes: int, seed: int) -> None:
    if virtual_size % mbr.SECTOR_BYTES or virtual_size < mbr.FIRST_BYTE + data_bytes:
        raise ValueError(f"{data_bytes} bytes do not fit into a disk of {virtual_size}")
    with path.open("wb") as file:
        file.write(mbr.record(mbr.Partition.of_disk(virtual_size), disk_id=seed))
        file.seek(mbr.FIRST_BYTE)
        file.writelines(_noise(data_bytes, seed))
        file.truncate(virtual_size)


def _noise(size: int, seed: int) -> Iterator[bytes]:
    """Yield noise in hexadecimal digits: it compresses to about half, as systems' files do."""
    generator = random.Random(seed)
    for begin in range(0, size, CHUNK_BYTES):
        chunk = generator.randbytes(CHUNK_BYTES // 2).hex().encode()
        yield chunk[: size - begin]


def _convert(raw: Path, path: Path, image_format: str, *, compress: bool) -> None:
    name, options = QEMU_FORMATS.get(image_format, (image_format, ()))
    extra = (*options, "-c") if compress else options
    run("qemu-img", "convert", "-f", "raw", "-O", name, *extra, raw, path)


def _make_iso(path: Path, data_bytes: int, seed: int) -> None:
    program = next(filter(None, map(shutil.which, ("xorrisofs", "genisoimage"))), None)
    if program is None:
        raise UnavailableError("ISO images need the package xorriso or genisoimage")
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        with (Path(scratch) / "data").open("wb") as file:
            file.writelines(_noise(data_bytes, seed))
        run(program, "-quiet", "-r", "-V", "TESTBED", "-o", path, scratch)
