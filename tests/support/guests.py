"""Disks with a guest's files on them, made by the file systems' own programs without mounting.

A guest is a folder; :func:`tree` fills one by paths. The programs are those that images are made
with, so that what reads them meets the same bytes.
"""

import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

Kind = Literal["ext2", "ext3", "ext4", "xfs", "btrfs", "vfat"]
Table = Literal["gpt", "dos", "none"]

MIB: Final = 2**20
_SIZES: Final[dict[Kind, int]] = {"xfs": 300 * MIB, "btrfs": 128 * MIB}
"""The least that their programs accept."""
_EXT_SIZE: Final = 32 * MIB

Files = Mapping[str, "str | bytes | Path | None"]
"""Contents by path; a Path is where a symbolic link leads, None is a folder."""

PASSWD: Final = """\
root:x:0:0:root:/root:/bin/bash
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
debian:x:1000:1000:Debian:/home/debian:/bin/bash
"""
SHADOW: Final = """\
root:*:19000:0:99999:7:::
daemon:!*:19000:0:99999:7:::
debian:!:19000:0:99999:7:::
"""
CLEAN: Final[Files] = {
    "etc/os-release": Path("../usr/lib/os-release"),
    "usr/lib/os-release": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n',
    "etc/passwd": PASSWD,
    "etc/shadow": SHADOW,
    "etc/machine-id": "",
    "var/lib/dbus/machine-id": Path("/etc/machine-id"),
    "etc/ssh/sshd_config": "PasswordAuthentication no\n",
    "etc/ssh/moduli": "# a file that is no key\n",
    "root/.bashrc": "# nothing\n",
    "root/.ssh/authorized_keys": "",
    "home/debian/.bashrc": "# nothing\n",
    "home/debian/.bash_history": "",
    "usr/bin/cloud-init": "#!/usr/bin/python3\n",
    "usr/bin/growpart": "#!/bin/sh\n",
    "var/log/wtmp": "",
    "var/log/lastlog": b"\0" * 292,
    "var/log/journal": None,
}
"""A guest in which nothing is found."""


def tree(folder: Path, *layers: Files) -> Path:
    """Write files into a folder, those of later layers in place of earlier ones; return it."""
    for name, content in {key: value for layer in layers for key, value in layer.items()}.items():
        path = Path(os.path.join(folder, name))  # noqa: PTH118 - a name may have any bytes
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.mkdir(parents=True, exist_ok=True)
        elif isinstance(content, Path):
            path.symlink_to(content)
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def file_system(
    path: Path, kind: Kind, folder: Path, *options: str, size: int | None = None
) -> Path:
    """Make a file system with a folder's files in it; return its path.

    Args:
        path: Where to.
        kind: Which one.
        folder: What is to be in it.
        options: Of its program, such as ``-U`` and a UUID.
        size: Bytes; the least that will do, if left out.
    """
    size = size or _SIZES.get(kind, _EXT_SIZE)
    with path.open("wb") as file:
        file.truncate(size)
    match kind:
        case "ext2" | "ext3" | "ext4":
            _run("mke2fs", "-q", "-F", "-t", kind, "-d", folder, *options, path)
        case "xfs":
            with tempfile.NamedTemporaryFile("w", dir=path.parent) as prototype:
                prototype.write(f"/\n0 0\n{_prototype(folder)}")
                prototype.flush()
                _run("mkfs.xfs", "-q", "-f", "-p", prototype.name, *options, path)
        case "btrfs":
            _run("mkfs.btrfs", "-q", "-f", "--rootdir", folder, *options, path)
        case "vfat":
            _run("mkfs.fat", *options, path)
            if names := sorted(folder.iterdir()):
                _run("mcopy", "-s", "-i", path, *names, "::")
    return path


def disk(path: Path, table: Table, *systems: Path) -> Path:
    """Put file systems into the partitions of a disk; without a table the first is the disk."""
    if table == "none":
        systems[0].replace(path)
        return path
    lines, start = [f"label: {table}"], 1
    places = []
    for each in systems:
        length = -(-each.stat().st_size // MIB)
        lines.append(
            f"start={start}MiB, size={length}MiB, type={'linux' if table == 'gpt' else 83}"
        )
        places.append((start, each))
        start += length
    with path.open("wb") as file:
        file.truncate((start + 1) * MIB)
    _run("sfdisk", "--quiet", path, stdin="\n".join(lines))
    for place, each in places:
        _run("dd", f"if={each}", f"of={path}", "bs=1M", f"seek={place}", "conv=notrunc,sparse")
        each.unlink()
    return path


def _prototype(folder: Path, depth: int = 0) -> str:
    """Return a folder as mkfs.xfs(8) wants to have it said."""
    lines = ["d--755 0 0"]
    for each in sorted(folder.iterdir()):
        if each.is_symlink():
            lines.append(f"{each.name} l--777 0 0 {each.readlink()}")
        elif each.is_dir():
            lines.append(f"{each.name} {_prototype(each, depth + 1)}")
        else:
            lines.append(f"{each.name} ---644 0 0 {each}")
    return "\n".join([*lines, "$\n" if depth == 0 else "$"])


def _run(*words: object, stdin: str = "") -> None:
    """Run a program, of which Debian has some outside of an ordinary user's PATH."""
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    done = subprocess.run(
        list(map(str, words)),
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": path},
    )
    assert done.returncode == 0, (words, done.stderr)
