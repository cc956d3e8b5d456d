"""Programs that start others: libguestfs', whose qemu runs what an image brings along.

They have a folder of their own and nothing else to write, read what they are given, and reach
nothing by a network: sockets are of Unix only, but where the virtual machine itself has a network.
All that they start ends with them.
"""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cloudimage.transfer.contract import Reason, TransferError
from cloudimage.transfer.tools.confinement import Program
from cloudimage.transfer.tools.launcher import MOST, Order
from cloudimage.transfer.tools.toolbox import ending, environment, file_of

_LONGEST_LINE: Final = 64 * 2**10


@dataclass(frozen=True)
class Machine:
    """Where and how such programs run.

    Attributes:
        folder: Their working directory, and all that they may write to.
        readable: Files and folders that they may read besides.
        environment: What their environment has besides.
        memory: Bytes of address space of each process.
        cpu_seconds: CPU seconds of each process.
        most_output: Bytes of each file.
        seconds: By the clock; then all is ended.
        programs: Files besides the system's that they may run.
        loops: Whether qemu may make connections of TCP to itself, as its user network needs.
    """

    folder: Path
    readable: tuple[Path, ...]
    environment: Mapping[str, str]
    memory: int
    cpu_seconds: int
    most_output: int
    seconds: float
    programs: tuple[Path, ...] = ()
    loops: bool = False

    def run(self, words: tuple[str, ...], tell: Callable[[str], None]) -> "Ended":
        """Run a program to its end.

        Args:
            words: The program and its arguments.
            tell: Called with each line of its standard output.

        Raises:
            TransferError: ``InternalError``: it is not installed, or cannot be confined;
                ``CustomizeFailed``: its arguments are too long.
        """
        order = Order(
            program=file_of(words[0]),
            words=words,
            folder=str(self.folder),
            environment={**environment(), **self.environment},
            memory=self.memory,
            cpu_seconds=self.cpu_seconds,
            most_output=self.most_output,
            spawns=True,
            readable=tuple(map(str, self.readable)),
            programs=tuple(map(str, self.programs)),
            loops=self.loops,
        )
        if len(order.to_json()) > MOST:
            raise TransferError(
                Reason.CUSTOMIZE_FAILED,
                "the steps are too long; put what they write into ConfigMaps, and use fewer files",
            )
        late = threading.Event()
        with ThreadPoolExecutor(1, "stderr") as reader, Program(order) as program:

            def end() -> None:
                late.set()
                program.kill()

            timer = threading.Timer(min(self.seconds, threading.TIMEOUT_MAX), end)
            timer.daemon = True
            timer.start()
            try:
                said = reader.submit(ending, program.stderr)
                with program.stdout as stdout:
                    while line := stdout.readline(_LONGEST_LINE):
                        tell(line.decode(errors="replace").rstrip("\n"))
                status = program.wait()
                # What it started holds its standard error open until it is ended.
                stderr = said.result().decode(errors="replace")
                return Ended(status, stderr, program.cpu_seconds, late=late.is_set())
            finally:
                timer.cancel()


@dataclass(frozen=True)
class Ended:
    """How a program ended.

    Attributes:
        status: Its exit status; negative: the signal that ended it.
        stderr: The last of its standard error.
        cpu_seconds: What it took, with what it started.
        late: It took too long, and was ended.
    """

    status: int
    stderr: str
    cpu_seconds: float
    late: bool
