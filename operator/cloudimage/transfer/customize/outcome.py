"""What came of the steps, for the user; pure."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from cloudimage.plaintext import plain
from cloudimage.transfer.contract import Reason, TransferError
from cloudimage.transfer.customize.model import Customize
from cloudimage.transfer.customize.network.traffic import NONE, Traffic
from cloudimage.transfer.customize.translation import BEGINS
from cloudimage.transfer.step_result import StepResult

MOST_LINES: Final = 12
MOST_BYTES: Final = 900
"""Of what a step wrote; with the rest of the outcome it must fit in a termination message."""

_LINE_BYTES: Final = 200
_OWN: Final = re.compile(r"virt-(?:customize|sysprep|sparsify): error: .*")
"""What the programs themselves say last; nothing of the image is in it."""
_HIDDEN: Final = "what the image's programs wrote is not shown, since a step has a Secret"
_CLOSED: Final = "appliance closed the connection unexpectedly"
"""libguestfs' words when its virtual machine is gone."""
_EXITED: Final = re.compile(r"virt-(?:customize|sysprep): error: .*: command exited with an error")
"""Their words when a command of the image failed, or when its virtual machine went meanwhile."""
_ADVICE: Final = "If reporting bugs,"
_NOISE: Final = (_ADVICE, "virt-customize -v -x", "virt-sysprep -v -x")
_NO_NETWORK: Final = (
    "Steps have no network: set spec.customize.network to true, or bring what this one needs by "
    "copyIn or writeFile"
)
_BY_PROXY: Final = (
    "Steps reach servers by HTTP and HTTPS only, by the proxy that the variables http_proxy and "
    "https_proxy name: have this one use it"
)
_LOOKS_FOR_NETWORK: Final = (
    "Temporary failure resolving",
    "Could not resolve",
    "Network is unreachable",
    "Temporary failure in name resolution",
)


@dataclass(frozen=True)
class Facts:
    """What is known of a run that failed, besides its words.

    Attributes:
        status: Its exit status; negative: the signal that ended it.
        late: The seconds that it may take, where it took more.
        grown: The text of the size that the image may gain, where it has.
        cpu: The CPU seconds that it may take, where it did.
        full: The scratch has no space left.
        out_of_memory: The kernel ended a process of this container for its memory.
        traffic: What it asked the network for, where it has one.
    """

    status: int
    late: float | None = None
    grown: str | None = None
    cpu: int | None = None
    full: bool = False
    out_of_memory: bool = False
    traffic: Traffic = NONE

    @property
    def of_the_step(self) -> Reason:
        """The reason where no limit was met: who is asked may answer otherwise the next time.

        What the URL policy refused, it would refuse again.
        """
        asked, refused = self.traffic.asked, self.traffic.refused
        passing = asked and (self.traffic.unreached or not refused)
        return Reason.CUSTOMIZE_NETWORK_FAILED if passing else Reason.CUSTOMIZE_FAILED


def cause(facts: Facts, stderr: str, words: str) -> tuple[Reason, str]:
    """Return why a run failed, with its last words.

    A virtual machine whose qemu met a limit is just gone: libguestfs cannot say why.
    """
    if facts.full:
        return Reason.INSUFFICIENT_SCRATCH, f"the scratch became full; {words}"
    if facts.out_of_memory:
        said = "it ran out of memory: raise customize.resources.limits.memory in the operator's"
        return Reason.INTERRUPTED, f"{said} chart; {words}"
    if facts.late:
        return facts.of_the_step, f"it took over {facts.late:.0f} s and was ended; {words}".rstrip(
            "; "
        )
    known = (
        (facts.grown, f"the image grew by over {facts.grown}, the most that steps may add"),
        (facts.cpu and _is_gone(stderr), f"it used up its CPU time of {facts.cpu} s"),
        (facts.status < 0, f"it was ended by signal {-facts.status}"),
    )
    for is_so, said in known:
        if is_so:
            return Reason.CUSTOMIZE_FAILED, f"{said}; {words}".rstrip("; ")
    if _is_gone(stderr):
        said = "the virtual machine ended unexpectedly, as it does where a script powers it off"
        return Reason.INTERRUPTED, f"{said}; {words}"
    return facts.of_the_step, words or f"exit status {facts.status}"


def _is_gone(stderr: str) -> bool:
    """Return whether the virtual machine ended before the program did.

    libguestfs says so, unless a command of the image was running: then the programs say what they
    say of one that failed. But of that one they show what it wrote, which is in the image, and a
    script of ours always writes something.
    """
    lines = [each for each in stderr.partition(_ADVICE)[0].splitlines() if each]
    silent = bool(lines) and _EXITED.fullmatch(lines[-1]) is not None
    return _CLOSED in stderr or (silent and all(map(_OWN.fullmatch, lines)))


def asked_for(traffic: Traffic, *, hide: bool) -> str:
    """Return what the network had to do with a failure; "": nothing that is known.

    Args:
        traffic: What was asked for.
        hide: Leave names of servers out: programs of the image chose them, and may have made them
            of a Secret.
    """
    told = []
    for verb, whys in (("refused", traffic.refused), ("not reached", traffic.unreached)):
        if whys and hide:
            told.append(f"servers were {verb}, which are not shown, since a step has a Secret")
        elif whys:
            told.append(f"{verb}: {'; '.join(whys)}")
    return "; ".join(told)


def last_words(stderr: str, *, hide: bool = False) -> str:
    """Return the end of what a program wrote: plain and bounded.

    Args:
        stderr: What it wrote, and what the image's own programs did.
        hide: Leave the latter out: they may have any part of a Secret in any form.
    """
    stderr = stderr.rpartition(f"{BEGINS}\n")[2]
    raw = stderr.splitlines()
    if hide:
        raw = [*[each for each in raw if _OWN.match(each)][-1:], _HIDDEN]
    lines = [plain(line, _LINE_BYTES) for line in raw[-4 * MOST_LINES :]]
    said = [line for line in lines if line and not line.startswith(_NOISE)][-MOST_LINES:]
    while said and len("; ".join(said).encode()) > MOST_BYTES:
        said = said[1:] if len(said) > 1 else [plain(said[0], MOST_BYTES)]
    return "; ".join(said)


def succeeded(request: Customize, seconds: Iterable[float | None]) -> tuple[StepResult, ...]:
    """Return the results of steps that all succeeded."""
    return tuple(
        StepResult(step=step.type, result="Succeeded", seconds=_rounded(took))
        for step, took in zip(request.steps, seconds, strict=True)
    )


def failure(
    request: Customize,
    seconds: list[float | None],
    why: str,
    reason: Reason = Reason.CUSTOMIZE_FAILED,
) -> TransferError:
    """Return the failure of a step, or of what comes after all of them.

    Args:
        request: What was to be done.
        seconds: How long each step took that was begun; None: it did not end.
        why: What went wrong, with the last words.
        reason: The same, for machines.
    """
    failed = len(seconds) - 1 if seconds and seconds[-1] is None else None
    results = []
    for number, step in enumerate(request.steps):
        if number == failed:
            results.append(StepResult(step=step.type, result="Failed", message=why))
        elif number < len(seconds):
            took = _rounded(seconds[number])
            results.append(StepResult(step=step.type, result="Succeeded", seconds=took))
        else:
            results.append(StepResult(step=step.type, result="NotRun"))
    if failed is None and request.steps and len(seconds) == len(request.steps):
        message = f"all steps of spec.customize were done, but then: {why}"
    elif failed is None:
        message = f"the image could not be customized: {why}"
    else:
        step = request.steps[failed]
        message = f"step {failed + 1} of spec.customize ({step.type}) failed: {why}"
    if any(each in why for each in _LOOKS_FOR_NETWORK):
        message = f"{message}. {_BY_PROXY if request.network else _NO_NETWORK}"
    error = TransferError(reason, message)
    error.customize = tuple(results)
    return error


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)
