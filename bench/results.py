"""What a bar found, as a table for people and as JSON for comparisons later."""

import dataclasses
import json
import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.scale import Scale


@dataclass(frozen=True)
class Limit:
    """A number that must not be larger than another.

    Attributes:
        what: What the number says.
        value: What was measured: a ratio, or what ``unit`` says.
        limit: What it may be at most.
        unit: Empty for ratios.
    """

    what: str
    value: float
    limit: float
    unit: str = ""

    @property
    def met(self) -> bool:
        """Whether the number is in its limit."""
        return self.value <= self.limit


@dataclass
class Bar:
    """One comparison.

    Attributes:
        name: A word.
        title: What is compared with what.
        seconds: What took how long.
        limits: What came out.
    """

    name: str
    title: str
    seconds: dict[str, float] = field(default_factory=dict)
    limits: list[Limit] = field(default_factory=list)

    def record(self) -> dict[str, Any]:
        """Return the bar as JSON has it."""
        limits = [dataclasses.asdict(each) | {"met": each.met} for each in self.limits]
        return dataclasses.asdict(self) | {"limits": limits}


def save(bars: Sequence[Bar], scale: Scale, folder: Path) -> Path:
    """Write the results into a new file in the folder and return its path."""
    now = datetime.now(UTC)
    record = {
        "when": now.isoformat(timespec="seconds"),
        "scale": dataclasses.asdict(scale),
        "machine": {"cpus": os.cpu_count(), "kernel": platform.release()},
        "bars": [bar.record() for bar in bars],
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{scale.name}-{now:%Y%m%dT%H%M%S}.json"
    path.write_text(json.dumps(record, indent=2) + "\n")
    return path


def markdown(bars: Sequence[Bar]) -> Iterator[str]:
    """Yield the lines of the tables for the documentation."""
    for bar in bars:
        yield f"## {bar.name}"
        yield ""
        yield f"{bar.title[0].upper()}{bar.title[1:]}."
        if bar.limits:
            yield from ("", "| what | measured | limit | |", "| --- | ---: | ---: | --- |")
        for each in bar.limits:
            value, verdict = f"{each.value:.2f}{each.unit}", "met" if each.met else "**missed**"
            yield f"| {each.what} | {value} | {each.limit:g}{each.unit} | {verdict} |"
        yield from ("", "| step | seconds |", "| --- | ---: |")
        yield from (f"| {label} | {seconds:.2f} |" for label, seconds in bar.seconds.items())
        yield ""


def table(bars: Sequence[Bar]) -> Iterator[str]:
    """Yield the lines of the table."""
    for bar in bars:
        yield f"{bar.name}: {bar.title}"
        for label, seconds in bar.seconds.items():
            yield f"  {label:<52}{seconds:>9.2f} s"
        for each in bar.limits:
            number = f"{each.value:.2f}{each.unit}"
            verdict = "met" if each.met else "MISSED"
            yield f"  {each.what:<52}{number:>9}   <= {each.limit:g}{each.unit}  {verdict}"
        yield ""
