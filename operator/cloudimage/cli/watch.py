"""``cloudimage watch``: changes shown as they come, until there is nothing more to wait for."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.meta import Resource, plain_model
from cloudimage.cli.describe import standing, telling_reason
from cloudimage.cli.state import State, exit_status, is_seen, state_of, why

_UNITS = {"s": 1, "m": 60, "h": 3600}
_MARGIN = 3
"""Lines of the terminal that are left free: the sum, the prompt, and one to spare."""

_WAITING = "Waiting for the operator"

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Row:
    """One object as it is shown.

    Attributes:
        percent: Of the present stage; None: not known.
        text: How far it is, with numbers.
        fate: The same without numbers: when it changes, there is something to say.
        message: Why it is so; empty where that is plain.
    """

    name: str
    state: State
    percent: int | None
    text: str
    fate: str
    message: str


class Display(Protocol):
    """Where rows are shown."""

    def show(self, rows: Sequence[Row]) -> None:
        """Show how all objects are now."""


def seconds(text: str) -> float | None:
    """Return a duration as kubectl takes it: ``90s``, ``5m``, ``1h30m``; ``0`` is None: for ever.

    Raises:
        ValueError: It is not a duration.
    """
    if re.fullmatch(r"\d+", text):
        return float(text) or None
    parts = re.findall(r"(\d+)([smh])", text)
    if not parts or "".join(map("".join, parts)) != text:
        raise ValueError(f"{text} is not a duration such as 90s, 5m or 1h")
    return sum(int(number) * _UNITS[unit] for number, unit in parts) or None


def row_of(name: str, resource: Resource | None) -> Row:
    """Return an object as it is shown; None is one that was deleted."""
    state = state_of(resource)
    if resource is None:
        return Row(name, state, None, "was deleted", str(state), "")
    resource = plain_model(resource)
    reason, message = why(resource)
    if state is State.READY:
        return Row(name, state, 100, str(state), str(state), "")
    if state is State.STALLED:
        return Row(name, state, None, reason, f"{state} {reason}", message)
    return _working(name, resource)


def _working(name: str, resource: Resource) -> Row:
    progress = resource.status.progress if isinstance(resource, CloudImage) else None
    text = standing(resource) or _WAITING
    if resource.metadata.deletion_timestamp is not None:
        text, progress = "Being deleted", None
    elif not is_seen(resource):  # what stands there is of the spec before
        text, progress = _WAITING, None
    if progress is None:
        return Row(name, State.WORKING, None, text, text, "")
    fate = f"{telling_reason(resource)} {progress.stage}"
    return Row(name, State.WORKING, progress.percent, text, fate, "")


def follow(
    snapshots: Iterable[Mapping[Key, Resource]],
    asked: Collection[Key],
    display: Display,
    label: Callable[[Key], str],
) -> tuple[int | None, list[Row]]:
    """Show each change until all are Ready, or those that are not cannot become so.

    Args:
        snapshots: The objects, again after each change; they end when time is up.
        asked: Those that are meant; empty: all that there are.
        display: Where to show them.
        label: How an object is called there.

    Returns:
        The exit status, None when time was up; and the rows as they were last.
    """
    rows: list[Row] = []
    for objects in snapshots:
        rows = [row_of(label(key), objects.get(key)) for key in sorted(asked or objects)]
        display.show(rows)
        status = exit_status({each.state for each in rows})
        if status is not None:
            return status, rows
    return None, rows


def termination_message(rows: Sequence[Row], timeout: str | None) -> list[str]:
    """Return why there is nothing more to wait for, of each object that is not Ready.

    Args:
        rows: How all objects were last.
        timeout: How long was waited; None: time was not up.
    """
    after = f" after {timeout}" if timeout else ""
    return [
        f"{each.name} is not Ready{after}: {each.text}"
        + (f": {each.message}" if each.message else ".")
        for each in rows
        if each.state is not State.READY
    ]


class Lines:
    """A line for each change of state, for logs and pipes."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._said: dict[str, str] = {}

    def show(self, rows: Sequence[Row]) -> None:
        """Say of each object what is new."""
        for row in rows:
            if self._said.get(row.name) != row.fate:
                self._said[row.name] = row.fate
                self._write(f"{row.name}: {row.text}")


class Bars:
    """A live bar for each object, for terminals."""

    def __init__(self, console: Console) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[text]}"),
        )
        self._console = console
        self._bars = Progress(*columns, console=console)
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def show(self, rows: Sequence[Row]) -> None:
        """Draw all; where there are more than lines, those that are Ready are only counted."""
        crowded = len(rows) > self._console.height - _MARGIN
        for row in rows:
            self._draw(row, visible=not (crowded and row.state is State.READY))
        for gone in self._tasks.keys() - {each.name for each in rows} - {""}:
            self._bars.update(self._tasks[gone], visible=False)
        if len(rows) > 1:
            ready = sum(each.state is State.READY for each in rows)
            self._sum(ready, len(rows))

    def _draw(self, row: Row, *, visible: bool) -> None:
        if row.name not in self._tasks:
            # Not seen before it is known whether there is a line for it.
            task = self._bars.add_task(escape(row.name), total=100, visible=False, text="")
            self._tasks[row.name] = task
        self._bars.update(
            self._tasks[row.name],
            completed=row.percent or 0,
            text=escape(row.text),
            visible=visible,
        )

    def _sum(self, ready: int, total: int) -> None:
        if "" not in self._tasks:
            self._tasks[""] = self._bars.add_task("all", text="")
        self._bars.update(
            self._tasks[""], total=total, completed=ready, text=f"{ready} of {total} are Ready"
        )


def display_on(console: Console, write: Callable[[str], None]) -> AbstractContextManager[Display]:
    """Return live bars on a terminal, lines elsewhere."""
    return Bars(console) if console.is_terminal else nullcontext(Lines(write))
