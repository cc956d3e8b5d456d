"""Servers of boot tests in the test bed, made by the operator's own adapter."""

import secrets
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from openstack.connection import Connection

from cloudimage.cloud import models
from cloudimage.cloud.boot_servers import BootServers, WantedServer
from cloudimage.vocabulary.boot_test import server_marks, server_name

PUBLIC_KEY = (
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINqHNJETRFZpN8nyYEeTK1wg71wObZunxxI1ChxE+9Kn tested"
)
"""What ssh-keygen made."""

SECONDS = 60.0


def wanted(uid: str, image_id: str, **changes: Any) -> WantedServer:
    """Return a server without networks that tests an image of a CloudImage."""
    token = secrets.token_hex(16)
    name = server_name(uid, token)
    usual: dict[str, Any] = {
        "name": name,
        "image_id": image_id,
        "flavor": "m1.tiny",
        "networks": (),
        "key_name": name,
        "user_data": b"#!/bin/sh\nexit 0\n",
        "metadata": server_marks(uid, image_id, token),
    }
    return WantedServer(**usual | changes)


def until(
    servers: BootServers,
    server_id: str,
    fits: Callable[[models.TestServer], bool],
    seconds: float = SECONDS,
) -> models.TestServer:
    """Return the server as soon as it fits."""
    deadline = time.monotonic() + seconds
    while True:
        server = servers.read(server_id)
        assert server is not None, "the server is gone"
        if fits(server):
            return server
        assert time.monotonic() < deadline, server
        time.sleep(0.2)


def built(server: models.TestServer) -> bool:
    """Return whether Nova has done with making it, well or not."""
    return server.status != "BUILD"


def keys_of(cloud: Connection, uid: str) -> list[str]:
    """Return the names of the user's key pairs for a CloudImage."""
    listed = cloud.compute.get("/os-keypairs").json()["keypairs"]
    names = [each["keypair"]["name"] for each in listed]
    return [each for each in names if uid in each]


@contextmanager
def cleared(servers: BootServers, cloud: Connection, uid: str) -> Iterator[None]:
    """Delete the servers and the key pairs of a CloudImage at the end, and wait until they are."""
    try:
        yield
    finally:
        servers.delete_keys(uid)
        deadline = time.monotonic() + SECONDS
        # Again and again: Nova ends a listing early whose page has one that is just being built.
        while found := servers.find(uid):
            assert time.monotonic() < deadline, "servers are still there"
            for each in found:
                servers.delete(each.id)
            time.sleep(0.2)
        assert keys_of(cloud, uid) == []


@contextmanager
def quota(admin: Connection, project_id: str, **limits: int) -> Iterator[None]:
    """Set limits of Nova for a project, and lift them again."""
    path = f"/os-quota-sets/{project_id}"
    answer = admin.compute.put(path, json={"quota_set": limits})
    assert answer.ok, answer.text
    try:
        yield
    finally:
        assert admin.compute.delete(path).ok


@contextmanager
def flavor(
    admin: Connection, name: str, *projects: str, ram: int = 64, **attributes: Any
) -> Iterator[str]:
    """Make a flavor that is private to these projects, or public if none are given."""
    made = admin.compute.create_flavor(
        name=name, ram=ram, vcpus=1, **{"disk": 1, "is_public": not projects, **attributes}
    )
    try:
        for each in projects:
            admin.compute.flavor_add_tenant_access(made, each)
        yield made.id
    finally:
        admin.compute.delete_flavor(made)


@contextmanager
def servers_of(
    cloud: Connection, image_id: str, names: Mapping[str, Mapping[str, str]]
) -> Iterator[dict[str, str]]:
    """Make servers of these names with this metadata, as any tenant can; yield ids by name."""
    tiny = cloud.compute.find_flavor("m1.tiny", ignore_missing=False)
    made = {
        name: cloud.compute.create_server(
            name=name, image_id=image_id, flavor_id=tiny.id, networks="none", metadata=dict(marks)
        )
        for name, marks in names.items()
    }
    try:
        for each in made.values():
            cloud.compute.wait_for_server(each, interval=0.2, wait=SECONDS)
        yield {name: each.id for name, each in made.items()}
    finally:
        for each in made.values():
            cloud.compute.delete_server(each, ignore_missing=True)
        for each in made.values():
            cloud.compute.wait_for_delete(each, interval=0.2, wait=SECONDS)


def gone(cloud: Connection, ids: Collection[str]) -> bool:
    """Return whether Nova no longer has any of these servers."""
    return all(cloud.compute.get(f"/servers/{each}").status_code == 404 for each in ids)
