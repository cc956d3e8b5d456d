"""Fixtures of the tests that need a cloud and no Kubernetes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.openstack import OpenStack
from testbed.sources import Sources
from transfer_images import MIB, make, raw_disk
from transfer_runs import Bench

SIZE = 16 * MIB


@pytest.fixture
def bench(openstack: OpenStack, sources: Sources, tmp_path: Path, unique: str) -> Iterator[Bench]:
    """What a transfer's test needs; in the end nothing is in the scratch, and no image stays."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    bench = Bench(openstack, sources, scratch, unique)
    yield bench
    assert list(scratch.iterdir()) == []
    bench.clean()


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A raw disk of 16 MiB."""
    path = tmp_path_factory.mktemp("disk") / "disk.raw"
    raw_disk(path, SIZE)
    return path


@pytest.fixture
def qcow2(disk: Path, tmp_path: Path) -> Path:
    """The disk as a compressed qcow2."""
    path = tmp_path / "disk.qcow2"
    make(disk, path, "qcow2", compress=True)
    return path
