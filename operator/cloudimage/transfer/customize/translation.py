"""What steps are in the terms of virt-customize and virt-sysprep; pure.

Most of a run is the start of libguestfs' appliance, so one run does as many steps as it can. Which
of them is being done is told by marks between them: the deletion of a file that is not there, which
the programs announce on their standard output. Nothing of the image writes there.
"""

import json
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Final

from cloudimage.transfer.contract import TEXT, Reason, TransferError
from cloudimage.transfer.customize.model import (
    AppendLine,
    CopyIn,
    DisableServices,
    EnableServices,
    GrowRoot,
    HostnameReset,
    InstallPackages,
    Run,
    SelinuxRelabel,
    Step,
    Sysprep,
    Timezone,
    Update,
    WriteFile,
)

BEGINS: Final = "cloudimage: a script begins"
"""What the log of a run has before what a script writes."""

MOST_WORDS: Final = 52 * 2**10
"""Bytes of arguments in one run: what starts it takes 64 KiB with all else."""

_ROOT: Final = "0:0"
_MARK: Final = "/.cloudimage-step-"
_MARKED: Final = re.compile(r"\[ *(\d+(?:\.\d+)?)\] Deleting: /\.cloudimage-step-(\d+)")
_SYSPREP: Final = re.compile(r'\[ *(\d+(?:\.\d+)?)\] Performing "')

_WITHOUT_ID: Final = "$_ = q() unless $. == 1 && /^uninitialized$/"
"""Perl, for each line."""

_FINISH: Final = (
    # virt-customize writes an id if the image has no id. "uninitialized" stays: to systemd it means
    # the first boot, which an empty file does not (machine-id(5)).
    *("--touch", "/etc/machine-id", "--edit", f"/etc/machine-id:{_WITHOUT_ID}"),
    # systemd takes D-Bus' number for the machine's.
    *("--delete", "/var/lib/dbus/machine-id"),
    *("--delete", "/var/lib/systemd/random-seed"),
    *("--delete", "/var/lib/urandom/random-seed"),
    *("--delete", "/var/lib/random-seed"),
)
"""What is true of every image of a cloud: its servers share neither number nor seed."""


@dataclass(frozen=True)
class Batch:
    """Steps that one run does.

    Attributes:
        first: The number of its first step, from 0.
        count: How many there are.
        words: The program and its arguments, but for the image.
        files: What it uploads, by the names of files in its folder.
        relabels: Whether its last step is the labels.
    """

    first: int
    count: int
    words: tuple[str, ...]
    files: Mapping[str, str]
    relabels: bool = False

    def seconds(self, lines: Iterable[str], *, failed: bool = False) -> list[float | None]:
        """Return how long each step took by the program's standard output; None: it did not end.

        Labels come after all else, so that a program that failed then failed for them.

        The list ends with the step that was being done, if the program came to one.
        """
        begun: dict[int, float] = {}
        for line in lines:
            if found := _MARKED.fullmatch(line):
                begun.setdefault(int(found[2]), float(found[1]))
            elif found := _SYSPREP.match(line):
                begun.setdefault(self.first, float(found[1]))
        moments = [begun.get(number) for number in range(self.first, self.first + self.count + 1)]
        spans: list[float | None] = []
        for start, end in pairwise(moments):
            if start is None:
                break
            spans.append(None if end is None else max(0.0, end - start))
        if failed and self.relabels and len(spans) == self.count:
            spans[-1] = None
        return spans


def batches(steps: tuple[Step, ...]) -> tuple[Batch, ...]:
    """Return the runs that do the steps in their order; the last one finishes the image.

    virt-sysprep does what it is for before it customizes, so each such step begins a run; so does
    one whose words would be too many with those before it. The disk's growth is not among them.
    """
    starts: list[int] = []
    length = 0
    begin = 1 if steps and isinstance(steps[0], GrowRoot) else 0
    if begin == len(steps):
        return ()
    for number, step in list(enumerate(steps))[begin:]:
        own = _length(step, number)
        if number > begin and (isinstance(step, Sysprep) or length + own > MOST_WORDS):
            starts.append(number)
            length = 0
        length += own
    edges = [begin, *starts, len(steps)]
    return tuple(
        _batch(steps, first, end, last=end == len(steps)) for first, end in pairwise(edges)
    )


def check_lengths(steps: tuple[Step, ...]) -> None:
    """Refuse a step that no run can take.

    Raises:
        TransferError: ``CustomizeFailed``.
    """
    for number, step in enumerate(steps):
        if _length(step, number) > MOST_WORDS:
            raise TransferError(
                Reason.CUSTOMIZE_FAILED,
                f"step {number + 1} of spec.customize has too many files, or too long names, for "
                "one step: make it several steps, with fewer keys in each ConfigMap or Secret",
            )


def _length(step: Step, number: int) -> int:
    """Return the bytes of a step's arguments as they are sent to where programs are started."""
    if isinstance(step, Sysprep | GrowRoot):
        return 0
    return len(json.dumps(_options(step, f"files/{number}").words))


def _batch(steps: tuple[Step, ...], first: int, end: int, *, last: bool) -> Batch:
    words: list[str] = []
    files: dict[str, str] = {}
    program: tuple[str, ...] = ("virt-customize",)
    for number in range(first, end):
        step = steps[number]
        if isinstance(step, Sysprep):
            operations = sorted({*step.operations, "customize"})
            program = ("virt-sysprep", "--operations", ",".join(operations))
            continue
        made = _options(step, f"files/{number}")
        words += [*_mark(number), *made.words]
        files.update(made.files)
    words += [*_mark(end), *(_FINISH if last else ())]
    relabels = isinstance(steps[end - 1], SelinuxRelabel)
    return Batch(first, end - first, (*program, "--no-logfile", *words), files, relabels)


def _mark(number: int) -> tuple[str, str]:
    return "--delete", f"{_MARK}{number}"


@dataclass(frozen=True)
class _Options:
    words: tuple[str, ...]
    files: Mapping[str, str]


def _options(step: Step, name: str) -> _Options:  # noqa: PLR0911, C901 - a line for each kind
    """Return the options of a step, whose files begin with a name."""
    match step:
        case InstallPackages(packages=packages):
            return _Options(("--install", ",".join(packages)), {})
        case Update():
            return _Options(("--update",), {})
        case Run(files=files):
            return _script(name, _executable(next(iter(files.values()), "")))
        case WriteFile():
            return _written(step, name)
        case CopyIn():
            return _copied(step, name)
        case AppendLine(path=path, line=line):
            return _Options(("--touch", path, "--append-line", f"{path}:{line}"), {})
        case Timezone(name=zone):
            return _Options(("--timezone", zone), {})
        case HostnameReset():
            # --hostname knows some distributions only, and also sets names that nothing replaces.
            return _Options(("--write", "/etc/hostname:localhost\n"), {})
        case EnableServices(units=units):
            return _script(name, _command("systemctl", "enable", "--", *units))
        case DisableServices(units=units):
            return _script(name, _command("systemctl", "disable", "--", *units))
        case SelinuxRelabel():
            return _Options(("--selinux-relabel",), {})
        case Sysprep() | GrowRoot():
            raise ValueError("unreachable: it begins a run, or is one")


def _executable(script: str) -> str:
    return script if script.startswith("#!") else f"#!/bin/sh\n{script}"


def _command(*words: str) -> str:
    return f"#!/bin/sh\nexec {shlex.join(words)}\n"


def _script(name: str, text: str) -> _Options:
    """Return how a file is run; --run would feed its text to a shell, whatever its first line."""
    there = f"/.cloudimage-{name.rpartition('/')[2]}"
    words = (
        *("--upload", f"{name}:{there}", "--chmod", f"0700:{there}"),
        *("--run-command", f"echo '{BEGINS}'; exec {there}", "--delete", there),
    )
    return _Options(words, {name: text})


def _written(step: WriteFile, name: str) -> _Options:
    mode = step.mode.zfill(4)  # without a 0 in front the program takes it as decimal
    place = PurePosixPath(step.path)
    words = (
        *("--mkdir", str(place.parent)),
        *_no_folders(str(place.parent), place.name),
        *("--upload", f"{name}:{step.path}"),
        *("--chmod", f"{mode}:{step.path}"),
    )
    owning = _owned(name, step.owner or _ROOT, step.path)
    return _Options((*words, *owning.words), {name: step.files.get(TEXT, ""), **owning.files})


def _no_folders(place: str, *names: str) -> tuple[str, str]:
    """Refuse names of folders: --upload would put the file into one, under our name for it."""
    check = '[ ! -d "$each" ] || { echo "$each is a folder" >&2; exit 1; }'
    return (
        "--run-command",
        f"cd {shlex.quote(place)} && for each in {shlex.join(names)}; do {check}; done",
    )


def _owned(name: str, owner: str, *paths: str) -> _Options:
    """Return how files get an owner: uploaded, they have the number of whoever runs this."""
    return _script(f"{name}-owner", _command("chown", "--", owner, *paths))


def _copied(step: CopyIn, name: str) -> _Options:
    words = ["--mkdir", step.directory]
    files: dict[str, str] = {}
    keys = sorted(step.files)
    if keys:
        words += _no_folders(step.directory, *keys)
    for number, key in enumerate(keys):
        local, there = f"{name}-{number}", f"{step.directory}/{key}"
        files[local] = step.files[key]
        words += ["--upload", f"{local}:{there}", "--chmod", f"{step.mode}:{there}"]
    if keys:
        owning = _owned(name, _ROOT, *(f"{step.directory}/{key}" for key in keys))
        words += owning.words
        files.update(owning.files)
    return _Options(tuple(words), files)
