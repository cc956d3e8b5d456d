"""Has libguestfs do the steps to a copy of the image; nothing is kept where one fails.

The copy is a qcow2 of our own making, so that nothing in it is probed, and no other file belongs
to it. All that the image brings along runs in a virtual machine (by emulation: KVM is not needed)
under what :mod:`cloudimage.transfer.tools.machine` leaves to it.
"""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from cloudimage.sizes import exact_text, size_text
from cloudimage.transfer.contract import Limits, Reason, Stage, TransferError, UrlPolicy
from cloudimage.transfer.customize import growth
from cloudimage.transfer.customize.model import Customize
from cloudimage.transfer.customize.network.machine import with_network
from cloudimage.transfer.customize.network.traffic import NONE, Traffic
from cloudimage.transfer.customize.outcome import (
    Facts,
    asked_for,
    cause,
    failure,
    last_words,
    succeeded,
)
from cloudimage.transfer.customize.translation import Batch, batches
from cloudimage.transfer.image.conversion import qcow2_size
from cloudimage.transfer.image.inspection import Inspected, inspect
from cloudimage.transfer.image.qemu_formats import QEMU_FORMATS
from cloudimage.transfer.progress import Meter
from cloudimage.transfer.scratch import Cache
from cloudimage.transfer.step_result import StepResult
from cloudimage.transfer.tools.machine import Ended, Machine
from cloudimage.transfer.tools.toolbox import Output, Toolbox, ToolError, image

_FOLDER: Final = "customize"
_DISK: Final = "disk.qcow2"
_COPY: Final = "customized"
_SMALLER: Final = "smaller"
_PROXY: Final = "proxy.sock"
_SOCKET: Final = "tmp/libguestfsXXXXXX/guestfsd.sock"
_LONGEST_SOCKET: Final = 107  # unix(7)
_NEAR: Final = 16 * 2**20
"""Bytes: so near to a limit, it was met."""
_MEMORY_EVENTS: Final = Path("/sys/fs/cgroup/memory.events")
_OF_THE_BYTES: Final = frozenset(
    {
        Reason.UNSAFE_IMAGE,
        Reason.SOURCE_NOT_AN_IMAGE,
        Reason.UNSUPPORTED_FORMAT,
        Reason.IMAGE_TOO_LARGE,
        Reason.CONVERSION_FAILED,
    }
)
"""What a look at the result may fail for, which says nothing of the source."""
_TABLES: Final = 64 * 2**20
"""Bytes that a qcow2 may have besides its data, whatever its size."""


@dataclass(frozen=True)
class Bounds:
    """What the steps of one image may use.

    Attributes:
        memory_mib: Memory of the virtual machine.
        addresses: Bytes of address space of each process: qemu has its code cache besides.
        cpu_seconds: CPU seconds of each process.
        seconds: By the clock, for each run of a program.
        growth: Bytes that the image may gain.
    """

    memory_mib: int = 768
    addresses: int = 8 * 2**30
    cpu_seconds: int = 3600
    seconds: float = 3600.0
    growth: int = 16 * 2**30


@dataclass(frozen=True)
class Customized:
    """The image as the steps have left it.

    Attributes:
        path: Where it is: a qcow2.
        found: What it is.
        results: What came of each step.
    """

    path: Path
    found: Inspected
    results: tuple[StepResult, ...]


@dataclass(frozen=True)
class Workshop:
    """Where an image is customized, and by what.

    Attributes:
        tools: Of the transfer's own folder, in which the image is.
        cache: Keeps the space for what is written.
        appliance: The folder of libguestfs' fixed appliance.
        policy: Which servers steps may reach, where they have a network.
        compress: Compress the result.
    """

    tools: Toolbox
    cache: Cache
    limits: Limits
    meter: Meter
    appliance: Path
    policy: UrlPolicy
    compress: bool = False
    bounds: Bounds = Bounds()

    @property
    def _folder(self) -> Path:
        return self.tools.folder / _FOLDER

    def customize(self, path: Path, found: Inspected, request: Customize) -> Customized:
        """Return the image with everything done to it; the source file is left alone.

        Args:
            path: In the folder of the tools.
            found: What it is.
            request: What is to be done, with its texts.

        Raises:
            TransferError: ``UnsupportedFormat``, ``CustomizeFailed``, ``CustomizeNetworkFailed``,
                ``InsufficientScratch``, ``ConversionFailed``, and those of the inspection.
        """
        if found.format not in QEMU_FORMATS:
            raise TransferError(
                Reason.UNSUPPORTED_FORMAT,
                f"spec.customize needs the image of a disk, and this is {found.format}; formats "
                f"that it can be are {', '.join(QEMU_FORMATS)}",
            )
        if request.steps or request.sparsify:
            self._check_path()
        size, found = request.disk_size, _grown(found, request)
        self.meter.start(Stage.CUSTOMIZING)
        self._folder.mkdir(mode=0o700)
        try:
            most = self._copy(path, found)
            if size is not None:
                self._enlarge(size, most)
            # Also where all files are counted that take space in the scratch.
            (self._folder / _DISK).hardlink_to(self.tools.folder / _COPY)
            seconds = self._steps(request, most)
            if request.sparsify:
                words = ("virt-sparsify", "--in-place", "--format", "qcow2", _DISK)
                with self._watched(request, most, seconds) as watched:
                    watched.ended = self._machine(most).run(words, lambda _: None)
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)
        try:
            result = self._packed(found, smaller=request.sparsify)
            again = inspect(result, "qcow2", None, self.limits, self.tools, verified=True)
        except TransferError as error:
            if error.reason not in _OF_THE_BYTES:
                raise
            why = f"the image is not as it must be: {error.message}"
            raise failure(request, seconds, why) from error  # the source has no part in it
        return Customized(result, again, succeeded(request, seconds))

    def _check_path(self) -> None:
        longest = len(os.fsencode(self._folder.absolute() / _SOCKET))
        if longest > _LONGEST_SOCKET:
            raise TransferError(
                Reason.CUSTOMIZE_UNAVAILABLE,
                f"the path of the scratch is too long for libguestfs' sockets, by "
                f"{longest - _LONGEST_SOCKET} bytes: give the operator a shorter one",
            )

    def _copy(self, path: Path, found: Inspected) -> int:
        """Make the copy, with a disk as large as it is to be; return the bytes that it may have."""
        needed = qcow2_size(path.name, found, self.tools)
        whole = found.virtual_size + found.virtual_size // 1024 + _TABLES
        most = max(needed, min(whole, needed + self.bounds.growth))
        self.cache.reserve(self.tools.folder / _COPY, most)
        self._convert(*image(path.name, QEMU_FORMATS[found.format]), _COPY, most=most)
        return most

    def _enlarge(self, size: int, most: int) -> None:
        words = ("qemu-img", "resize", "-q", "-f", "qcow2", _COPY, str(size))
        try:
            self.tools.run(*words, output=Output(_COPY, most))
        except ToolError as error:
            raise TransferError(
                Reason.CONVERSION_FAILED, f"the disk cannot be made larger: {error.message}"
            ) from error

    def _convert(self, *words: str, most: int) -> None:
        output = Output(words[-1], most)
        try:
            self.tools.run("qemu-img", "convert", "-O", "qcow2", *words, output=output)
        except ToolError as error:
            raise TransferError(
                Reason.CONVERSION_FAILED, f"the image cannot be copied: {error.message}"
            ) from error

    def _packed(self, found: Inspected, *, smaller: bool) -> Path:
        """Return the copy without what it no longer needs, compressed if that is asked for."""
        copy, less = self.tools.folder / _COPY, self.tools.folder / _SMALLER
        self.cache.reserve(copy, copy.stat().st_size)  # it no longer grows
        if not (smaller or self.compress):
            return copy
        most = qcow2_size(_COPY, replace(found, format="qcow2"), self.tools)
        compressed = ("-c",) * self.compress
        with self.cache.room(less) as room:
            room.reserve(most)
            self._convert(*compressed, *image(_COPY, "qcow2"), _SMALLER, most=most)
            less.replace(copy)
        self.cache.reserve(copy, copy.stat().st_size)
        return copy

    def _steps(self, request: Customize, most: int) -> list[float | None]:
        seconds: list[float | None] = []
        if request.disk_size is not None:
            with self._watched(request, most, seconds) as watched:
                self._grow(request, request.disk_size, most, seconds, watched)
        for batch in batches(request.steps) if request.steps else ():
            lines: list[str] = []
            with self._watched(request, most, seconds) as watched:
                watched.ended = self._run(batch, most, lines, watched, network=request.network)
                failed = watched.ended.status != 0 or watched.ended.late
                seconds += batch.seconds(lines, failed=failed)
        return seconds

    def _grow(
        self,
        request: Customize,
        size: int,
        most: int,
        seconds: list[float | None],
        watched: "_Watched",
    ) -> None:
        seconds.append(None)
        start, lines, machine = time.monotonic(), list[str](), self._machine(most)
        guestfish = ("guestfish", "--format=qcow2", "--add", _DISK, "--")
        watched.ended = machine.run((*guestfish, *growth.look()), lines.append)
        if watched.ended.status != 0:
            return
        try:
            words = growth.grow(growth.place_of(lines), size)
        except growth.CannotGrowError as error:
            raise failure(request, seconds, str(error)) from error
        watched.ended = machine.run((*guestfish, *words), lines.append)
        if watched.ended.status == 0:
            seconds[-1] = time.monotonic() - start

    def _run(
        self, batch: Batch, most: int, lines: list[str], watched: "_Watched", *, network: bool
    ) -> Ended:
        files = self._folder / "files"
        files.mkdir(mode=0o700, exist_ok=True)
        for name, text in batch.files.items():
            (self._folder / name).write_text(text)
        program, *words = batch.words
        disk = ("--network" if network else "--no-network", "--format", "qcow2", "--add", _DISK)
        machine = self._machine(most)
        if network:
            # Here: no other transfer needs h11.
            from cloudimage.transfer.customize.network.proxy import Proxy  # noqa: PLC0415 - h11 only where a step needs it

            with Proxy(self._folder / _PROXY, self.policy) as proxy:
                networked = with_network(machine, self._folder / _PROXY)
                ended = networked.run((program, *disk, *words), lines.append)
                watched.traffic = proxy.traffic
        else:
            ended = machine.run((program, *disk, *words), lines.append)
        shutil.rmtree(files)  # secrets may be in it
        return ended

    @contextmanager
    def _watched(
        self, request: Customize, most: int, seconds: list[float | None]
    ) -> Iterator["_Watched"]:
        """Raise what the run of the block has failed for, if it has."""
        watched, kills = _Watched(), _memory_kills()
        yield watched
        ended = watched.ended
        if ended.status == 0 and not ended.late and None not in seconds:
            return
        disk, bounds = (self._folder / _DISK).stat(), self.bounds
        facts = Facts(
            status=ended.status,
            late=bounds.seconds if ended.late else None,
            grown=size_text(bounds.growth) if disk.st_size > self._limit(most) - _NEAR else None,
            cpu=bounds.cpu_seconds if ended.cpu_seconds > bounds.cpu_seconds else None,
            full=shutil.disk_usage(self._folder).free < _NEAR,
            out_of_memory=_memory_kills() > kills,
            traffic=watched.traffic,
        )
        hide = request.has_secret(len(seconds))
        words = last_words(ended.stderr, hide=hide)
        reason, why = cause(facts, ended.stderr, words)
        if told := asked_for(watched.traffic, hide=hide):
            why = f"{why}. By the network, {told}"
        raise failure(request, seconds, why, reason)

    @staticmethod
    def _limit(most: int) -> int:
        """Return the bytes that each file of a run may have."""
        return max(most, 4 * 2**30)  # the appliance's own overlay is one of them

    def _machine(self, most: int) -> Machine:
        place = str((self._folder / "tmp").absolute())
        Path(place).mkdir(mode=0o700, exist_ok=True)
        return Machine(
            folder=self._folder,
            readable=(self.appliance,),
            environment={
                "HOME": place,
                "TMPDIR": place,
                "XDG_RUNTIME_DIR": place,
                "LIBGUESTFS_PATH": str(self.appliance),
                "LIBGUESTFS_BACKEND": "direct",
                # /dev/kvm may be there and of no use, and no container has it.
                "LIBGUESTFS_BACKEND_SETTINGS": "force_tcg",
                "LIBGUESTFS_MEMSIZE": str(self.bounds.memory_mib),
            },
            memory=self.bounds.addresses,
            cpu_seconds=self.bounds.cpu_seconds,
            most_output=self._limit(most),
            seconds=self.bounds.seconds,
        )


def _grown(found: Inspected, request: Customize) -> Inspected:
    """Return what the image is with the disk that it is to have.

    Raises:
        TransferError: ``CustomizeFailed``: the disk is larger.
    """
    size = request.disk_size or found.virtual_size
    if size < found.virtual_size:
        larger = f"the disk has {exact_text(found.virtual_size)} already, and only grows"
        raise failure(request, [None], larger)
    return replace(found, virtual_size=size)


@dataclass
class _Watched:
    """A run whose end is to be judged."""

    ended: Ended = field(default_factory=lambda: Ended(0, "", 0.0, late=False))
    traffic: Traffic = NONE


def _memory_kills() -> int:
    """Return how many processes of this container the kernel has ended for their memory."""
    try:
        words = _MEMORY_EVENTS.read_text().split()
        return int(words[words.index("oom_kill") + 1])
    except (OSError, ValueError, IndexError):  # of the first version, or no container
        return 0
