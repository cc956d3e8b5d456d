"""The programs of the test bed: found where they are, else downloaded or built once.

The order is: ``KUBEBUILDER_ASSETS`` (the convention of envtest, so an existing set is used as it
is); the per-user cache; the official release when ``TESTBED_DOWNLOAD`` allows it; a build from
``tools/``. The build is the default because Go's checksum database verifies every module with
what ``tools/go.sum`` pins, and because it works wherever Go modules can be had.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from filelock import FileLock

from testbed.kubernetes import build, releases
from testbed.kubernetes.errors import BinaryError
from testbed.kubernetes.pins import TOOLS, binaries_dir

DEFAULT = ("kube-apiserver", "etcd", "kubectl", "helm")


def find(name: str) -> Path:
    """Return the program's path.

    Raises:
        BinaryError: It is nowhere yet; `ensure` makes it.
    """
    path = _present(name)
    if path is None:
        raise BinaryError(f"{name} is not installed: run `python -m testbed install kubernetes`")
    return path


def find_client(name: str) -> Path:
    """Return a client program's path for somebody else's cluster: ours, else the one on PATH."""
    on_path = shutil.which(name)
    return _present(name) or (Path(on_path) if on_path else find(name))


def ensure(*names: str) -> dict[str, Path]:
    """Return the paths of the programs after making those that are missing.

    Two processes that ask at once make them once: the second waits.

    Raises:
        BinaryError: A program could not be downloaded.
        CommandError: A program could not be built.
    """
    for own in sorted({TOOLS[name].own for name in _missing(names)}):
        folder = binaries_dir(own)
        with FileLock(folder / ".lock"):
            _make([name for name in _missing(names) if TOOLS[name].own == own], folder)
    return {name: find(name) for name in names}


def _make(names: list[str], folder: Path) -> None:
    tools = [TOOLS[name] for name in names]
    origin = releases.origin()
    released = [tool for tool in tools if origin and tool.release]
    built = [tool for tool in tools if tool not in released]
    if origin:
        releases.download(released, folder, origin)
    if built:
        build.build(built, folder)


def _missing(names: Sequence[str]) -> list[str]:
    return [name for name in names if _present(name) is None]


def _present(name: str) -> Path | None:
    candidates = (folder / name for folder in _folders(TOOLS[name].own))
    return next((path for path in candidates if os.access(path, os.X_OK)), None)


def _folders(own: str) -> Iterator[Path]:
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    if assets:
        yield Path(assets)
    yield binaries_dir(own)
