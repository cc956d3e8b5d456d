"""The transfer, or a look at a source, as a process; :mod:`.contract` has its contract.

Exit status 0 after a result, 1 after a failure. Standard output is for events only; standard error
has the log.
"""

import logging
import sys
from collections.abc import Callable
from traceback import format_tb
from typing import TextIO

from pydantic import ValidationError

from cloudimage.plaintext import PlainFormatter
from cloudimage.transfer.contract import (
    Failure,
    Latest,
    Progress,
    Reason,
    Result,
    TransferError,
)
from cloudimage.transfer.interrupts import Interrupts
from cloudimage.transfer.lint.looking import LintError
from cloudimage.transfer.look import look
from cloudimage.transfer.pipeline import transfer
from cloudimage.transfer.progress import Meter
from cloudimage.transfer.request import REQUESTS, LookRequest, TransferRequest
from cloudimage.transfer.resource_limits import restrain
from cloudimage.transfer.tools import confinement

_log = logging.getLogger(__name__)

Request = TransferRequest | LookRequest
Outcome = Result | Latest | Failure
"""What a process is asked for, and how it ends."""


def main() -> int:
    """Move the image of the request on standard input; return the exit status."""
    with confinement.prepared():
        return carry_out(_from_stdin)


def carry_out(
    read: Callable[[Interrupts], Request],
    ended: Callable[[Outcome], None] = lambda _: None,
) -> int:
    """Do what a request asks for; return the exit status.

    Args:
        read: Returns the request, once this process can be told to stop.
        ended: Called with the outcome when nothing more is left to do.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(PlainFormatter("%(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    # They log URLs, which may hold secrets; their exceptions are reported without them.
    for name in ("urllib3", "requests", "keystoneauth", "openstack"):
        logging.getLogger(name).setLevel(logging.ERROR)
    interrupts = Interrupts()
    interrupts.install()
    meter = Meter(lambda progress: emit(sys.stdout, progress))
    outcome = _outcome(read, meter, interrupts)
    interrupts.finish()
    ended(outcome)
    emit(sys.stdout, outcome)
    return 1 if isinstance(outcome, Failure) else 0


def emit(out: TextIO, event: Progress | Outcome) -> None:
    """Write an event as a line; a reader who is gone is the watcher's matter."""
    try:
        out.write(event.model_dump_json() + "\n")
        out.flush()
    except BrokenPipeError:
        _log.warning("nobody reads the events")


def _from_stdin(interrupts: Interrupts) -> Request:
    request = REQUESTS.validate_json(sys.stdin.buffer.readline())
    interrupts.watch(sys.stdin.fileno())
    return request


def _outcome(
    read: Callable[[Interrupts], Request], meter: Meter, interrupts: Interrupts
) -> Outcome:
    try:
        request = read(interrupts)
        restrain(request.limits)
        if isinstance(request, LookRequest):
            return look(request, meter, interrupts)
        return transfer(request, meter, interrupts)
    except ValidationError as error:
        # Without the values: they may be secrets.
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        text = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in problems)
        failure = TransferError(Reason.INVALID_REQUEST, f"the request is not valid: {text}")
    except TransferError as error:
        failure = error
    except KeyboardInterrupt:
        failure = TransferError(Reason.INTERRUPTED, "the transfer was asked to stop")
    except MemoryError:
        failure = TransferError(
            Reason.INTERNAL_ERROR,
            "the transfer needs more memory than it may have; raise the operator's setting "
            "CLOUDIMAGE_TRANSFER_MEMORY_MIB, or the chart's transfer.memoryMiB",
        )
    except BaseException as error:  # noqa: BLE001 - the contract: every end has its event
        # Where, but not the exception's text: it is not known to be free of secrets.
        _log.error("%s\n%s", type(error).__name__, "".join(format_tb(error.__traceback__)))
        failure = TransferError(
            Reason.INTERNAL_ERROR, f"internal error of the transfer: {type(error).__name__}"
        )
    return Failure(
        reason=failure.reason,
        message=failure.message,
        stage=meter.stage,
        retry_after=failure.retry_after,
        lint=failure.result if isinstance(failure, LintError) else None,
        customize=failure.customize,
    )
