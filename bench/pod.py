"""What a pod does to its processes: the cgroups that the kubelet makes from its resources."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import yaml

_CGROUPS: Final = Path("/sys/fs/cgroup")
_NAME: Final = "cloudimage-bench"
_VALUES: Final = Path(__file__).parents[1] / "helm" / "cloudimage-operator" / "values.yaml"


@contextmanager
def pod_resources(pid: int) -> Iterator[None]:
    """Hold a process, and what it starts, to the CPU request and the memory limit of the chart.

    By the processor it is then one of the machine's pods, whatever it runs; and the files that it
    writes take the page cache of nobody else. Needs root.
    """
    resources = yaml.safe_load(_VALUES.read_text())["resources"]
    millicores = int(resources["requests"]["cpu"].removesuffix("m"))
    memory = int(resources["limits"]["memory"].removesuffix("Gi")) << 30
    folders = []
    for folder, name, value in _settings(millicores, memory):
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(str(value))
        (folder / "cgroup.procs").write_text(str(pid))
        folders.append(folder)
    try:
        yield
    finally:
        for folder in {*folders}:
            _empty(folder)


def _settings(millicores: int, memory: int) -> list[tuple[Path, str, int]]:
    """Return cgroups, and what to write into which of their files."""
    shares = millicores * 1024 // 1000
    if (_CGROUPS / "memory").exists():  # version 1, a tree for each controller
        return [
            (_CGROUPS / "memory" / _NAME, "memory.limit_in_bytes", memory),
            (_CGROUPS / "cpu" / _NAME, "cpu.shares", shares),
        ]
    weight = 1 + (shares - 2) * 9999 // 262142  # as Kubernetes converts them
    group = _CGROUPS / _NAME
    return [(group, "memory.max", memory), (group, "cpu.weight", weight)]


def _empty(folder: Path) -> None:
    """Remove a cgroup; what is left in it goes back to where this process is."""
    for pid in (folder / "cgroup.procs").read_text().split():
        (folder.parent / "cgroup.procs").write_text(pid)
    folder.rmdir()
