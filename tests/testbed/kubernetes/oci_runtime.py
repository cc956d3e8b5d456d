"""runc for a root that lacks capabilities: containers get those that it has.

``docker run --privileged`` asks for every capability that the kernel knows, and runc fails when the
machine's root has not all of them, as in many containers and virtual machines. Docker runs this in
place of runc; it needs the standard library only. Where the words are read from: runc's
``create``, ``run`` and ``exec``; what is written: ``process`` of the OCI runtime specification,
https://github.com/opencontainers/runtime-spec/blob/main/config.md#linux-process
"""

import itertools
import json
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# In the order of their numbers: linux/capability.h.
CAPABILITIES = (
    *("CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID"),
    *("SETPCAP", "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW"),
    *("IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT"),
    *("SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD"),
    *("LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG"),
    *("WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF", "CHECKPOINT_RESTORE"),
)


def held(status: str) -> frozenset[str]:
    """Return the names of the capabilities that a process can have at most.

    Args:
        status: Its ``/proc/self/status``.
    """
    found = re.search(r"^CapBnd:\s*([0-9a-f]+)$", status, re.MULTILINE)
    bits = int(found[1], 16) if found else 0
    return frozenset(f"CAP_{name}" for bit, name in enumerate(CAPABILITIES) if bits >> bit & 1)


def lacks_some(status: str) -> bool:
    """Return whether a process has fewer capabilities than there are."""
    return len(held(status)) < len(CAPABILITIES)


def trim(process: dict[str, Any], names: frozenset[str]) -> None:
    """Take all other capabilities out of what a process asks for."""
    asked: dict[str, list[str]] = process.get("capabilities") or {}
    for kind, wanted in asked.items():
        asked[kind] = [name for name in wanted if name in names]


def main(arguments: Sequence[str]) -> None:
    """Trim what runc is about to read, and become runc."""
    names = held(Path("/proc/self/status").read_text())
    if bundle := _value(arguments, "--bundle"):
        path = Path(bundle) / "config.json"
        spec = json.loads(path.read_text())
        trim(spec["process"], names)
        path.write_text(json.dumps(spec))
    if process := _value(arguments, "--process"):
        spec = json.loads(Path(process).read_text())
        trim(spec, names)
        Path(process).write_text(json.dumps(spec))
    os.execvp("runc", ["runc", *arguments])  # noqa: S606, S607 - runc is on PATH


def _value(arguments: Sequence[str], flag: str) -> str:
    """Return what follows a flag; empty where the flag is not there."""
    following = dict(itertools.pairwise(arguments))
    return following.get(flag, "")


if __name__ == "__main__":
    main(sys.argv[1:])
