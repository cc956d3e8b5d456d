"""What a kubelet and its pods leave on a machine, and taking it away again."""

import contextlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from testbed.kubernetes.network import BRIDGE
from testbed.process import kill

SYSCTLS = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)
"""Settings that every kubelet changes (``setupKernelTunables`` in its container manager)."""
KUBELET = Path("/var/lib/kubelet")
"""Where it puts the sockets of device plugins, whatever its root folder is."""
CGROUPS = Path("/sys/fs/cgroup")
_PROC = Path("/proc/sys")


def record(folder: Path) -> None:
    """Note what the kubelet changes, before it does; once for each bed."""
    path = folder / "before.json"
    if not path.exists():
        sysctls = {name: (_PROC / name).read_text().strip() for name in SYSCTLS}
        path.write_text(json.dumps({"sysctls": sysctls, "kubelet": KUBELET.exists()}))


def remove(folder: Path) -> None:
    """Take away what a bed in a folder left, besides the folder; its servers have ended."""
    with contextlib.suppress(FileNotFoundError):
        before = json.loads((folder / "before.json").read_text())
        for name, value in before["sysctls"].items():
            (_PROC / name).write_text(value)
        if not before["kubelet"]:
            shutil.rmtree(KUBELET, ignore_errors=True)  # it may never have started
    _kill_shims(folder)
    for mount in reversed(list(_mounts(folder))):
        _unmount(mount)
    _remove_cgroups()
    for link in Path("/var/log/containers").glob("*"):
        if link.is_symlink() and str(link.readlink()).startswith(f"{folder}/"):
            link.unlink()
    for result in Path("/var/lib/cni/results").glob(f"{BRIDGE}-*"):
        result.unlink()


def _kill_shims(folder: Path) -> None:
    """End the parents of containers that containerd, killed, could not end itself."""
    shims = [
        process
        for process in psutil.process_iter(["name", "cmdline"])
        if process.info["name"] == "containerd-shim-runc-v2"
        and str(folder) in " ".join(process.info["cmdline"] or ())
    ]
    kill([*(child for shim in shims for child in shim.children(recursive=True)), *shims])


def _mounts(folder: Path) -> Iterator[str]:
    for line in Path("/proc/self/mounts").read_text().splitlines():
        target = line.split()[1]
        if target.startswith(f"{folder}/"):
            yield target


def _unmount(target: str) -> None:
    subprocess.run(["umount", "--lazy", target], check=False)  # noqa: S607 - util-linux is on PATH


def _remove_cgroups() -> None:
    """Remove the cgroups of pods, deepest first; the kernel takes a moment to empty them."""
    roots = [*CGROUPS.glob("*/kubepods"), *CGROUPS.glob("kubepods")]
    for root in roots:
        for folder, _, _ in os.walk(root, topdown=False):
            for _ in range(20):
                try:
                    Path(folder).rmdir()
                    break
                except OSError:
                    time.sleep(0.05)
