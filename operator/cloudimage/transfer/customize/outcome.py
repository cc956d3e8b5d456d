"""What came of the steps, for the user; pure."""

from collections.abc import Iterable
from typing import Final

from cloudimage.plaintext import plain
from cloudimage.transfer.contract import Reason, TransferError
from cloudimage.transfer.customize.model import Customize
from cloudimage.transfer.customize.translation import BEGINS
from cloudimage.transfer.step_result import StepResult

MOST_LINES: Final = 12
MOST_BYTES: Final = 900
"""Of what a step wrote; with the rest of the outcome it must fit in a termination message."""

_LINE_BYTES: Final = 200
_LEAST_SECRET: Final = 4
"""Characters: what is shorter is in every text."""
_NOISE: Final = ("If reporting bugs,", "virt-customize -v -x", "virt-sysprep -v -x")
_NO_NETWORK: Final = (
    "spec.customize has no network: set spec.customize.network to true if the step needs one"
)
_LOOKS_FOR_NETWORK: Final = (
    "Temporary failure resolving",
    "Could not resolve",
    "Network is unreachable",
    "Temporary failure in name resolution",
)


def last_words(stderr: str, secrets: Iterable[str]) -> str:
    """Return the end of what a program wrote: plain, bounded, and without secrets.

    Args:
        stderr: What it wrote, and what the image's own programs did.
        secrets: Texts of which nothing may be shown.
    """
    for secret in secrets:
        # A line by itself is as secret as the whole, and longer ones may have shorter ones in them.
        parts = {secret, *secret.splitlines(), *(line.strip() for line in secret.splitlines())}
        for part in sorted(parts, key=len, reverse=True):
            if len(part) >= _LEAST_SECRET:
                stderr = stderr.replace(part, "***")
    stderr = stderr.rpartition(f"{BEGINS}\n")[2]
    lines = [plain(line, _LINE_BYTES) for line in stderr.splitlines()[-4 * MOST_LINES :]]
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


def failure(request: Customize, seconds: list[float | None], why: str) -> TransferError:
    """Return the failure of a step.

    Args:
        request: What was to be done.
        seconds: How long each step took that was begun; None: it did not end.
        why: What went wrong, with the last words.
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
    if failed is None:
        message = f"the image could not be customized: {why}"
    else:
        step = request.steps[failed]
        message = f"step {failed + 1} of spec.customize ({step.type}) failed: {why}"
    if not request.network and any(each in why for each in _LOOKS_FOR_NETWORK):
        message = f"{message}. {_NO_NETWORK}"
    # Who is asked by the network may answer otherwise the next time.
    network = request.network and failed is not None
    reason = Reason.CUSTOMIZE_NETWORK_FAILED if network else Reason.CUSTOMIZE_FAILED
    error = TransferError(reason, message)
    error.customize = tuple(results)
    return error


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)
