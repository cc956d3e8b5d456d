"""Ways to read a compressed qcow2 as raw bytes, in their order: why we do it as we do."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import psutil

from bench.results import Bar
from bench.rig import Rig, shell, timed
from bench.scale import MIB, Scale
from cloudimage.transfer.contract import Limits
from cloudimage.transfer.tools.toolbox import Toolbox

_SERVER: Final = ("qemu-nbd", "--read-only", "-f", "qcow2")
_PATIENCE_SECONDS: Final = 10.0

# Debian's own Python has the bindings of libnbd; PyPI has not.
_PYTHON: Final = "/usr/bin/python3"
_ASYNCHRONOUS: Final = """
import collections, nbd, sys
DEPTH, STEP = 8, 2**20
server = nbd.NBD()
server.connect_systemd_socket_activation(sys.argv[1:])
size, offset, flying = server.get_size(), 0, collections.deque()
while flying or offset < size:
    while offset < size and len(flying) < DEPTH:
        buffer = nbd.Buffer(min(STEP, size - offset))
        flying.append((server.aio_pread(buffer, offset), buffer))
        offset += buffer.size()
    cookie, buffer = flying.popleft()
    while not server.aio_command_completed(cookie):
        server.poll(-1)
    sys.stdout.buffer.write(buffer.to_buffer())
"""


def reading(rig: Rig, scale: Scale) -> Bar:
    """Read the image of the first bar by each way that this machine has; no limit, to choose by."""
    bar = Bar("reading", "a compressed qcow2 read as raw bytes: the ways there are, processor time")
    source = rig.image("qcow2", scale.virtual, scale.data, compress=True)
    for label, work in _ways(rig, source).items():
        before = _cpu()
        bar.seconds[label] = timed(work)
        bar.seconds[f"{label}, processor time"] = _cpu() - before
    return bar


def _ways(rig: Rig, source: Path) -> dict[str, Callable[[], object]]:
    server = (*_SERVER, source)
    ways: dict[str, Callable[[], object]] = {
        "ours: qemu-nbd, several requests under way": partial(by_us, source),
        "qemu-img convert to a file, then read": partial(_by_file, source, rig.folder / "read.raw"),
    }
    if shutil.which("nbdcopy"):
        step = f"--request-size={MIB}"
        ways["nbdcopy into a pipe"] = partial(drain, "nbdcopy", step, "--", "[", *server, "]", "-")
    if _has_bindings():
        asynchronous = (_PYTHON, "-c", _ASYNCHRONOUS, *server)
        ways["libnbd's bindings, 8 requests under way"] = partial(drain, *asynchronous)
    if shutil.which("qemu-storage-daemon") and Path("/dev/fuse").exists():
        ways["FUSE export of qemu-storage-daemon"] = partial(_by_fuse, source)
    return ways


def by_us(source: Path) -> None:
    """Read an image as a transfer does, and throw the bytes away."""
    limits = Limits()
    tools = Toolbox(source.parent, limits.tool_memory, limits.tool_cpu_seconds)
    with tools.disk(source.name, "qcow2") as disk:
        for _ in disk.pieces():
            pass


def drain(*command: object) -> None:
    """Run a program and throw its output away.

    Raises:
        RuntimeError: It failed.
    """
    words = [str(word) for word in command]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        while process.stdout.read(MIB):
            pass
    if process.returncode:
        raise RuntimeError(f"{words[0]} ended with status {process.returncode}")


def _by_file(source: Path, raw: Path) -> None:
    shell("qemu-img", "convert", "-f", "qcow2", "-O", "raw", source, raw)
    drain("cat", raw)
    raw.unlink()


def _by_fuse(source: Path) -> None:
    with tempfile.NamedTemporaryFile() as place:
        node = f"driver=qcow2,node-name=disk,read-only=on,file.driver=file,file.filename={source}"
        export = f"type=fuse,id=export,node-name=disk,mountpoint={place.name}"
        words = ["qemu-storage-daemon", "--blockdev", node, "--export", export]
        with subprocess.Popen(words) as daemon:
            try:
                deadline = time.monotonic() + _PATIENCE_SECONDS
                while not Path(place.name).stat().st_size:
                    if time.monotonic() > deadline or daemon.poll() is not None:
                        raise RuntimeError("qemu-storage-daemon exports nothing")
                    time.sleep(0.01)
                drain("cat", place.name)
            finally:
                daemon.terminate()


def _has_bindings() -> bool:
    if not shutil.which(_PYTHON):
        return False
    command = [_PYTHON, "-c", "import nbd"]
    return subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode == 0


def _cpu() -> float:
    times = psutil.Process().cpu_times()
    return times.user + times.system + times.children_user + times.children_system
