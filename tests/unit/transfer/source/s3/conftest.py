"""Buckets of the real server, with a disk in them."""

import random
from pathlib import Path

import pytest

from support.bucket_reads import SIZE, Run
from support.transfer_images import raw_disk
from testbed.buckets import Buckets


@pytest.fixture(scope="module")
def bucket(buckets: Buckets) -> str:
    """A bucket without versions."""
    name = f"plain-{random.SystemRandom().randrange(2**40):x}"
    buckets.make(name)
    return name


@pytest.fixture(scope="module")
def versioned(buckets: Buckets) -> str:
    """A bucket with versions."""
    name = f"versions-{random.SystemRandom().randrange(2**40):x}"
    buckets.make(name, versions=True)
    return name


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A partitioned raw disk whose end has something in it."""
    path = tmp_path_factory.mktemp("raw") / "disk.raw"
    raw_disk(path, SIZE)
    return path


@pytest.fixture(scope="module")
def whole(buckets: Buckets, bucket: str, raw: Path) -> str:
    """The disk as an object that was put at once, with a SHA-256."""
    buckets.put(bucket, "whole.raw", raw, "--checksum-algorithm", "SHA256")
    return "whole.raw"


@pytest.fixture(scope="module")
def in_parts(buckets: Buckets, bucket: str, raw: Path) -> str:
    """The disk as an object that was put in parts."""
    buckets.put_in_parts(bucket, "parts.raw", raw)
    return "parts.raw"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)
