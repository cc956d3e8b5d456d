"""Parsers of untrusted bytes get inputs known to be hard, and for some time also unknown ones.

``make test`` runs the corpus, and some thousand variants of it that are the same in each run;
``make test-all`` has atheris look for new ones, and writes what it finds into the corpus.
"""

import importlib.util
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fuzz.targets import TARGETS

HERE = Path(__file__).parent
CORPUS = HERE / "corpus"
SEEDS = [
    pytest.param(path.parent.name, path, id=f"{path.parent.name}: {path.name}")
    for path in sorted(CORPUS.glob("*/*"))
]
SMOKE_SECONDS = 2.0
SMOKE_INPUTS = 2000
FUZZ_SECONDS = 30


def test_each_target_has_a_corpus_and_each_corpus_a_target() -> None:
    assert {path.name for path in CORPUS.iterdir()} == set(TARGETS)


@pytest.mark.parametrize(("target", "path"), SEEDS)
def test_corpus(target: str, path: Path) -> None:
    TARGETS[target](path.read_bytes())


def variants(target: str) -> Iterator[bytes]:
    """Yield inputs made of the corpus: bytes changed, parts left out, repeated and put together."""
    chance = random.Random(target)
    seeds = [path.read_bytes() for path in sorted((CORPUS / target).iterdir())]
    while True:
        data = bytearray(chance.choice(seeds))
        for _ in range(chance.randint(1, 4)):
            at, end = sorted(chance.choices(range(len(data) + 1), k=2))
            match chance.randrange(5):
                case 0:
                    data[at : at + 1] = chance.randbytes(1)
                case 1:
                    del data[at:end]
                case 2:
                    data[at:at] = data[at:end][:4096]
                case 3:
                    other = chance.choice(seeds)
                    data[at:] = other[min(at, len(other)) :]
                case _:
                    data[at:end] = chance.choice((b"\0", b"\xff", b"9", b"\n", b" ")) * (end - at)
        yield bytes(data)


@pytest.mark.parametrize("target", TARGETS)
def test_variants_of_the_corpus(target: str) -> None:
    until = time.monotonic() + SMOKE_SECONDS
    for data, _ in zip(variants(target), range(SMOKE_INPUTS), strict=False):
        try:
            TARGETS[target](data)
        except Exception as error:
            error.add_note(f"input: {data!r}")
            raise
        if time.monotonic() > until:
            break


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="atheris has no wheel for this machine"
)
@pytest.mark.parametrize("target", TARGETS)
def test_fuzzing(target: str) -> None:
    command = [sys.executable, HERE / "run.py", target, "--seconds", str(FUZZ_SECONDS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
