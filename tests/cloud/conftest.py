"""Fixtures of the tests that need a cloud and no Kubernetes."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from openstack.connection import Connection

from cloudimage.cloud.config import CloudConfig
from cloudimage.cloud.connection import Cloud, open_cloud
from support.boot_servers import cleared
from support.openstack_actions import make_image
from support.projects import Project
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


# Of boot tests whose module has a fixture ``project``: one that has no other servers.


@pytest.fixture(scope="module")
def tenant(project: Project) -> Connection:
    """The project's user."""
    return project.connect()


@pytest.fixture(scope="module")
def cloud(project: Project) -> Iterator[Cloud]:
    """The same, as the operator connects."""
    with open_cloud(CloudConfig(project.entry)) as opened:
        yield opened


@pytest.fixture
def uid(cloud: Cloud, tenant: Connection) -> Iterator[str]:
    """Of a CloudImage whose tests are all gone in the end."""
    made = str(uuid.uuid4())
    with cleared(cloud.boot_servers, tenant, made):
        yield made


@pytest.fixture(scope="module")
def image_id(tenant: Connection) -> Iterator[str]:
    """An image of zeros."""
    image = make_image(tenant, b"\0" * 4096)
    yield image.id
    tenant.image.delete_image(image)
