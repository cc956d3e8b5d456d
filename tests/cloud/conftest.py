"""Fixtures of the tests that need a cloud and no Kubernetes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.transfer_images import make
from support.transfer_runs import SERVER, Bench, bench_of
from testbed.openstack import OpenStack
from testbed.sources import Sources


@pytest.fixture(scope="session", autouse=True)
def end_of_server() -> Iterator[None]:
    """The server of transfers ends before coverage is put together."""
    yield
    SERVER.close()


@pytest.fixture
def bench(openstack: OpenStack, sources: Sources, tmp_path: Path, unique: str) -> Iterator[Bench]:
    """What a transfer's test needs; in the end nothing is in the scratch, and no image stays."""
    with bench_of(openstack, sources, tmp_path, unique) as bench:
        yield bench


@pytest.fixture
def qcow2(disk: Path, tmp_path: Path) -> Path:
    """The disk as a compressed qcow2."""
    path = tmp_path / "disk.qcow2"
    make(disk, path, "qcow2", compress=True)
    return path
