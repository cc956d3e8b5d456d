"""What the tests of real virtual machines have in common."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path: libguestfs' sockets are below it."""
    place = Path("/tmp") / f"cz-{os.getpid()}"  # noqa: S108 - sockets need a short path
    place.mkdir(mode=0o700)
    yield place
    shutil.rmtree(place)
