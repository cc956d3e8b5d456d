"""Fuzzes one target with atheris: ``python tests/fuzz/run.py TARGET [--seconds N] [--keep]``.

Findings are written to ``tests/fuzz/corpus/TARGET/crash-...``, where the tests pick them up; they
stay there along with the fix. ``--keep`` keeps new inputs that reach new code in the corpus.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

import atheris

HERE = Path(__file__).parent

with atheris.instrument_imports(include=["cloudimage", "tarfile", "zipfile", "email"]):
    sys.path[:0] = [str(HERE.parent)]
    from fuzz.targets import TARGETS


def main() -> None:
    """Fuzz until something is found, or the time is over."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=sorted(TARGETS))
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    seeds = HERE / "corpus" / options.target
    seeds.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as fresh:
        flags = [
            f"-max_total_time={options.seconds}",
            "-timeout=10",  # seconds of one input
            "-rss_limit_mb=1024",
            "-max_len=16384",
            f"-artifact_prefix={seeds}/",
            "-print_final_stats=0",
        ]
        folders = [str(seeds)] if options.keep else [fresh, str(seeds)]
        atheris.Setup([sys.argv[0], *flags, *folders], TARGETS[options.target])
        # In a child: libFuzzer ends its process at once, and would leave the folder behind.
        if not (child := os.fork()):
            atheris.Fuzz()
        _, status = os.waitpid(child, 0)
    sys.exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
