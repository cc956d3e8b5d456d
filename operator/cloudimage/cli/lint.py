"""``cloudimage lint``: what is in an image that does not belong in a cloud, without a cloud.

The file is fetched, verified, expanded, inspected and looked into by the transfer's own stages, so
what is said here is what a CloudImage would meet.
"""

import json
from collections.abc import Iterator
from typing import Any, Final

from rich.console import Console

from cloudimage.cli.by_hand import bars, refused, workplace
from cloudimage.cli.inspect import Wanted, brought
from cloudimage.cli.output import say
from cloudimage.plaintext import plain_tree
from cloudimage.transfer import contract, examination
from cloudimage.transfer.examination import examine
from cloudimage.transfer.findings import LintResult
from cloudimage.transfer.lint.looking import Subject, look_into
from cloudimage.transfer.progress import Meter
from cloudimage.transfer.scratch import Cache, telling_when_full
from cloudimage.transfer.source.base import Context
from cloudimage.transfer.tools.toolbox import Toolbox

UNKNOWN: Final = 3
"""The exit status if nothing is known of what is in the image; 2 is for a wrong command line."""

_STATUSES: Final = {"Clean": 0, "FindingsFound": 1}


def run(wanted: Wanted, *, as_json: bool) -> int:
    """Look into the image and print what was found; return the exit status."""
    console = Console(stderr=True)
    limits = contract.Limits(max_scratch=wanted.max_scratch)
    told: dict[str, Any] = {"filename": wanted.place}
    with (
        refused(console) as outcome,
        workplace(wanted.scratch, limits) as (folder, kept, _),
        bars(console) as show,
        telling_when_full(),
    ):
        tools = Toolbox(folder, limits.tool_memory, limits.tool_cpu_seconds)
        cache = Cache(kept, limits, shared=True)
        context = Context(folder, cache, limits, contract.UNRESTRICTED, Meter(show), tools)
        with brought(wanted, context) as (expected, fetch):
            file = examination.Wanted(declared=wanted.source.format)
            examined = examine(fetch, expected, file, context)
            result = look_into(Subject(examined.path, examined.found), "Warn", tools, cache)
    if outcome.failure is not None:
        told |= {"reason": outcome.failure.reason, "message": outcome.failure.message}
    elif outcome.status == 0 and result is not None:
        told |= result.model_dump(mode="json")
        outcome.status = _STATUSES.get(result.outcome, UNKNOWN)
        if not as_json:
            say("\n".join(_lines(result)))
    if as_json:
        say(json.dumps(plain_tree(told), indent=4))
    return outcome.status


def _lines(result: LintResult) -> Iterator[str]:
    """Yield each finding on a line of its own; or a sentence if there are no findings."""
    if not result.findings:
        yield result.message
    for each in result.findings:
        yield f"{each.rule}: {each.path}: {each.message}"
    if result.more:
        yield f"... and {result.more} more"
