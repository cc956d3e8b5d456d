"""``cloudimage transfer`` as its user runs it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from transfer_runs import Bench, checksum

pytestmark = pytest.mark.cloud


def environment(bench: Bench, **more: str) -> dict[str, str]:
    """Return a user's environment: clouds.yaml, and a cache that goes with the test."""
    clouds = {"OS_CLIENT_CONFIG_FILE": str(bench.openstack.clouds_yaml)}
    cache = {"XDG_CACHE_HOME": str(bench.scratch.parent / "home")}
    return {**os.environ, **clouds, **cache, "COLUMNS": "500", **more}


def command(bench: Bench, url: str, *words: str | Path) -> list[str]:
    options = ("--url", url, "--name", bench.unique, "--os-cloud", bench.project)
    line = (sys.executable, "-m", "cloudimage", "transfer", *options, *words)
    return list(map(str, line))


def by_hand(
    bench: Bench, url: str, *words: str | Path, **more: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(bench, url, *words),
        env=environment(bench, **more),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_image_is_shown_and_warnings_told(bench: Bench, qcow2: Path) -> None:
    weak = f"md5:{checksum(qcow2, 'md5')['value']}"
    done = by_hand(bench, bench.put(qcow2), "--checksum", weak, "--visibility", "shared")
    assert done.returncode == 0, done.stderr
    assert "md5 alone, which can be forged" in done.stderr
    (image,) = bench.images()
    assert done.stdout == f"{image.id}\n"
    assert (image.visibility, image.is_hidden) == ("shared", False)
    assert not [each for each in image.properties if each.startswith("cloudimage")]


def test_publishing_that_is_forbidden(bench: Bench, qcow2: Path) -> None:
    done = by_hand(bench, bench.put(qcow2), "--visibility", "public")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "verified, but private and hidden, since it could not be made public" in done.stderr
    (image,) = bench.images()
    assert done.stdout == f"{image.id}\n"
    assert image.is_hidden
