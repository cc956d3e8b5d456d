"""``python -m bench [--quick] [bar ...]``: measure, print a table, keep JSON in bench/results."""

import argparse
import dataclasses
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.bars import BARS
from bench.results import markdown, save, table
from bench.rig import Rig
from bench.scale import FULL, QUICK
from testbed.openstack import OpenStack
from testbed.sources import Sources

RESULTS = Path(__file__).parent / "results"
_MARK = "<!-- what follows is written by python -m bench --docs -->"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the bars; return 0 when all are met, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("bars", nargs="*", choices=[*BARS, []], metavar="bar", help=f"{set(BARS)}")
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it works")
    parser.add_argument("--objects", type=int, help="how many CloudImages the bar many has")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the JSON")
    parser.add_argument("--docs", type=Path, help="page of which the tables are renewed")
    options = parser.parse_args(arguments)
    scale = QUICK if options.quick else FULL
    if options.objects:
        scale = dataclasses.replace(scale, objects=options.objects)
    parts: list[OpenStack | Sources] = [OpenStack(), Sources()]
    started = [part for part in parts if not any(row[1] for row in part.status())]
    bars = []
    try:
        for part in parts:
            part.up()
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            rig = Rig(OpenStack(), Sources(), Path(folder))
            for name in options.bars or BARS:
                print(f"{name} ...", file=sys.stderr, flush=True)
                bars.append(BARS[name](rig, scale))
    finally:
        for part in started if "KEEP" not in os.environ else []:
            part.down()
    print(*table(bars), sep="\n")
    if options.docs:
        prose = options.docs.read_text().partition(_MARK)[0]
        options.docs.write_text("\n".join([prose + _MARK, "", *markdown(bars)]))
    print(save(bars, scale, options.results))
    return 0 if all(limit.met for bar in bars for limit in bar.limits) else 1


if __name__ == "__main__":
    sys.exit(main())
