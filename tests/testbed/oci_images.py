"""Images as their makers push them: containerDisks by tar and crane, artifacts by ORAS."""

import hashlib
import shutil
from pathlib import Path
from typing import Literal

from testbed.commands import run
from testbed.registry import Registry

Compression = Literal["gzip", "zstd"]

_FLAGS = {"gzip": "--gzip", "zstd": "--zstd"}


def layer(
    folder: Path, files: dict[str, Path], compression: Compression | None = "gzip", *flags: str
) -> Path:
    """Return a layer with files by their paths, made by GNU tar as buildah's would be."""
    root = folder / "root"
    shutil.rmtree(root, ignore_errors=True)
    for name, path in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink():
            (root / name).symlink_to(path.readlink())
        else:
            shutil.copyfile(path, root / name)
    target = folder / "layer.tar"
    packed = [_FLAGS[compression]] if compression else []
    top = sorted({name.partition("/")[0] for name in files})
    owner = ("--owner=107", "--group=107", "--numeric-owner")
    run("tar", "-C", root, *owner, *flags, *packed, "-cf", target, *top)
    return target


def container(registry: Registry, name: str, *layers: Path, oci: bool = True) -> str:
    """Push a container image of layers, from the lowest on, and return its name."""
    image = registry.name(name)
    base: list[str | Path] = ["--oci-empty-base"] if oci else []
    for each in layers:
        registry.crane("append", *base, "-f", each, "-t", image)
        base = ["-b", image]
    return image


def artifact(registry: Registry, name: str, folder: Path, *files: str) -> str:
    """Push files of a folder as an artifact, each perhaps with ``:`` and a media type."""
    image = registry.name(name)
    registry.oras(folder, "push", image, *files)
    return image


def digest(path: Path) -> str:
    """Return a file's digest."""
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
