"""What kubelets, container runtimes and pods leave on a machine, and taking it away again."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator
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
    "net/ipv4/ip_forward",
)
"""Settings that every kubelet changes (``setupKernelTunables`` in its container manager).

And one that Docker and CNI's bridge change.
"""
# Where a kubelet puts the sockets of device plugins, and containerd its plugins, whatever their
# folders are.
PATHS = tuple(map(Path, ("/var/lib/kubelet", "/opt/containerd")))
CGROUPS = Path("/sys/fs/cgroup")
RECORD = "before.json"
"""The file in a bed's folder that says how things were."""
_PROC = Path("/proc/sys")


def record(
    path: Path,
    sysctls: Iterable[str] = SYSCTLS,
    paths: Iterable[Path] = PATHS,
    rules: Iterable[str] = (),
) -> None:
    """Record in a file how things are before a bed changes them, once for each bed.

    Args:
        path: The file.
        sysctls: Kernel settings to restore; those that this kernel lacks are left out.
        paths: Files and folders to remove at the end if they do not exist now.
        rules: Those of iptables; `restore` returns them.
    """
    if path.exists():
        return
    settings = {name: _PROC / name for name in sysctls}
    before = {
        "sysctls": {name: at.read_text().strip() for name, at in settings.items() if at.exists()},
        "absent": [str(each) for each in paths if not each.exists()],
        "rules": list(rules),
    }
    path.write_text(json.dumps(before))


def restore(path: Path) -> list[str]:
    """Restore what the file says, and return the iptables rules that were there."""
    if not path.exists():
        return []
    before = json.loads(path.read_text())
    for name, value in before["sysctls"].items():
        (_PROC / name).write_text(value)
    for absent in map(Path, before["absent"]):
        if absent.is_dir():
            shutil.rmtree(absent)
        absent.unlink(missing_ok=True)
    return list(before["rules"])


def remove(folder: Path) -> None:
    """Take away what a bed in a folder left, besides the folder; its servers have ended."""
    restore(folder / RECORD)
    end_containers(folder)
    unmount(folder)
    remove_cgroups("kubepods")
    for link in Path("/var/log/containers").glob("*"):
        if link.is_symlink() and str(link.readlink()).startswith(f"{folder}/"):
            link.unlink()
    for result in Path("/var/lib/cni/results").glob(f"{BRIDGE}-*"):
        result.unlink()


def end_containers(folder: Path) -> None:
    """End the parents of containers that a containerd of the folder, killed, could not end."""
    shims = [
        process
        for process in psutil.process_iter(["name", "cmdline"])
        if process.info["name"] == "containerd-shim-runc-v2"
        and str(folder) in " ".join(process.info["cmdline"] or ())
    ]
    kill([*(child for shim in shims for child in shim.children(recursive=True)), *shims])


def unmount(folder: Path) -> None:
    """Unmount all that is mounted on a folder or below it."""
    for target in reversed(list(mounts(folder))):
        subprocess.run(["umount", "--lazy", target], check=False)  # noqa: S607 - util-linux is on PATH


def mounts(folder: Path) -> Iterator[str]:
    """Yield what is mounted on a folder or below it, in the order in which it was."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        target = line.split()[1]
        if f"{target}/".startswith(f"{folder}/"):
            yield target


def remove_cgroups(name: str) -> None:
    """Remove the cgroups below a name, deepest first; the kernel takes a moment to empty them."""
    for root in cgroups(name):
        for folder, _, _ in os.walk(root, topdown=False):
            for _ in range(20):
                try:
                    Path(folder).rmdir()
                    break
                except OSError:
                    time.sleep(0.05)


def cgroups(name: str) -> list[Path]:
    """Return the top cgroups of a name, of every hierarchy."""
    return [*CGROUPS.glob(f"*/{name}"), *CGROUPS.glob(name)]
