"""The other end of a transfer's process: a request goes in, events come out."""

import logging
import subprocess
from collections.abc import Iterator

from pydantic import ValidationError

from cloudimage.runners.fork_client import Process
from cloudimage.transfer.contract import EVENTS, Failure, Latest, Progress, Result
from cloudimage.transfer.request import LookRequest, TransferRequest

logger = logging.getLogger(__name__)

_END_SECONDS = 15.0


def events_of(
    process: Process, request: TransferRequest | LookRequest
) -> Iterator[Progress | Result | Latest | Failure]:
    """Hand a request over, and yield what the process says of it, until it ends."""
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("unreachable: both are pipes")
    try:
        process.stdin.write(request.model_dump_json().encode() + b"\n")
        process.stdin.flush()
    except BrokenPipeError:
        return
    for line in process.stdout:
        event = _parse(line)
        if event is not None:
            yield event


def _parse(line: bytes) -> Progress | Result | Latest | Failure | None:
    try:
        return EVENTS.validate_json(line)
    except ValidationError:
        text = line[:200].decode(errors="replace")  # the cut may be within a character
        logger.warning("a transfer wrote what is no event", extra={"line": text})
        return None


def end(process: Process) -> None:
    """Have a process end, should it still be there."""
    if process.stdin:
        process.stdin.close()  # which tells it to
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
