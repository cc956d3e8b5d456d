"""Boot tests by the whole operator; the servers are of Nova's fake driver, whose console is fixed.

What real guests show is in ``test_boot_test_boots.py``.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
from openstack.connection import Connection

from cloudimage.failpoints import Point
from cloudimage.vocabulary.marks import Marks
from support.boot_servers import flavor
from support.boot_tests import Watched, boot_test
from support.fault_proxy import Fault, FaultProxy
from support.namespaces import (
    Namespace,
    condition_of,
    image_of,
    images_of,
    said,
    wait_until,
)
from support.publisher import Publisher
from testbed.images import sha256_of
from testbed.openstack import OpenStack
from testbed.operator import Operator
from testbed.sources import Sources

pytestmark = [pytest.mark.cluster, pytest.mark.cloud]

Create = Callable[..., Watched]


@pytest.fixture
def images(openstack: OpenStack) -> Connection:
    """The project that the CloudImages are made in."""
    return openstack.connect("images")


@pytest.fixture
def create(
    namespace: Namespace, sources: Sources, images: Connection, qcow2_disk: Path, unique: str
) -> Create:
    """Create a CloudImage with a boot test."""

    def created(**spec: Any) -> Watched:
        url = sources.put(f"{unique}.qcow2", qcow2_disk)
        namespace.create(unique, url, sha256_of(qcow2_disk), **spec)
        return Watched(namespace, images, unique)

    return created


def test_an_image_is_used_once_it_has_passed(create: Create, namespace: Namespace) -> None:
    # Nothing matches at first, so that there is time to look.
    watched = create(bootTest=boot_test({"consoleMatches": "never", "within": "10m"}))
    held = watched.tested()
    assert said(held, "Ready")[:2] == ("False", "Progressing")
    assert said(held, "Booted")[:2] == ("Unknown", "Progressing")
    assert said(held, "Uploaded")[0] == "True"
    assert held.status.image_id is None
    image = watched.image()
    assert (image["name"], image["visibility"]) == (f"{watched.name} (in the making)", "private")
    [server] = watched.servers()
    assert server["metadata"][Marks.IMAGE_ID] == image["id"]
    assert watched.keys() == [server["name"]]
    namespace.patch(watched.name, {"spec": {"bootTest": boot_test()}})
    ready = namespace.wait_condition(watched.name, "Ready", reason="Available")
    # The same image, without another transfer; the first server went before the next one came.
    assert ready.status.image_id == image["id"]
    assert ready.status.transfers_started == 1
    assert said(ready, "Booted")[:2] == ("True", "BootTestPassed")
    image = image_of(watched.connection, ready)
    assert (image["name"], image["visibility"]) == (watched.name, "private")
    state = watched.cleared().status.boot_test
    assert state is not None
    assert (state.result, state.image_id, state.attempts) == ("Passed", image["id"], 1)
    assert watched.nothing_left()
    assert namespace.told_once(watched.name, "Normal", "BootTestPassed")
    namespace.delete(watched.name)


@pytest.mark.slow
def test_an_image_that_shows_nothing_is_not_used(create: Create, namespace: Namespace) -> None:
    watched = create(bootTest=boot_test({"ipv6": None}))
    failed = namespace.wait_condition(watched.name, "Booted", "False", "Timeout")
    assert said(failed, "Ready")[:2] == ("False", "Timeout")
    assert said(failed, "Stalled")[:2] == ("True", "Timeout")
    assert "LAST LINE" in said(failed, "Booted")[2]
    assert namespace.told_once(watched.name, "Warning", "Timeout")
    assert watched.cleared().status.boot_test is not None
    assert watched.nothing_left()
    image = watched.image()
    assert (image["name"], image["visibility"]) == (f"{watched.name} (in the making)", "private")
    # Another test is all that it needs.
    namespace.patch(watched.name, {"spec": {"bootTest": boot_test({"ipv6": False})}})
    ready = namespace.wait_condition(watched.name, "Ready", reason="Available")
    assert (ready.status.image_id, ready.status.transfers_started) == (image["id"], 1)
    assert condition_of(ready, "Stalled") is None
    namespace.delete(watched.name)


def test_what_nova_refuses_is_said_and_is_not_the_images_fault(
    create: Create, namespace: Namespace
) -> None:
    watched = create(bootTest=boot_test(flavor="m1.none"))
    stalled = namespace.wait_condition(watched.name, "Stalled", "True", "FlavorNotFound")
    assert said(stalled, "Booted")[:2] == ("False", "FlavorNotFound")
    assert said(stalled, "Ready")[:2] == ("False", "FlavorNotFound")
    assert "m1.none" in said(stalled, "Stalled")[2]
    # It does not matter where nothing waits for it.
    namespace.patch(watched.name, {"spec": {"bootTest": {"required": False}}})
    ready = namespace.wait_condition(watched.name, "Ready", reason="Available")
    assert said(ready, "Booted")[:2] == ("False", "FlavorNotFound")
    network = {"flavor": "m1.tiny", "networks": [{"name": "no-such-network"}]}
    namespace.patch(watched.name, {"spec": {"bootTest": network}})
    namespace.wait_condition(watched.name, "Booted", "False", "NetworkNotFound")
    assert said(namespace.wait_condition(watched.name, "Ready"), "Ready")[1] == "Available"
    # Without a test nothing is left of it.
    namespace.patch(watched.name, {"spec": {"bootTest": None}})
    plain = namespace.wait(watched.name, lambda each: each.status.boot_test is None)
    assert condition_of(plain, "Booted") is None
    assert watched.nothing_left()
    namespace.delete(watched.name)


def test_a_deletion_ends_the_test(create: Create, namespace: Namespace) -> None:
    # Of an image that is in use, so that the server could hold its deletion.
    never = boot_test({"consoleMatches": "never", "within": "10m"}, required=False)
    watched = create(bootTest=never)
    namespace.wait_condition(watched.name, "Ready", reason="Available")
    used = watched.tested()
    assert wait_until(lambda: [each["status"] for each in watched.servers()] == ["ACTIVE"], 30)
    uid = used.metadata.uid
    namespace.delete(watched.name)
    namespace.wait_gone(watched.name, 30)
    assert watched.nothing_left(uid, 1)
    assert watched.connection.image.get(f"/images/{used.status.image_id}").status_code == 404
    assert ("Warning", "DeletionBlocked") not in namespace.events(watched.name)


@pytest.mark.slow
def test_a_test_waits_for_its_turn(
    create: Create, namespace: Namespace, sources: Sources, qcow2_disk: Path
) -> None:
    """A namespace has one of the four turns."""
    first = create(bootTest=boot_test({"consoleMatches": "never", "within": "10m"}))
    first.tested()
    name = f"{first.name}-2"
    namespace.create(name, sources.put(f"{name}.qcow2", qcow2_disk), bootTest=boot_test())
    waits = namespace.wait_condition(name, "Booted", "Unknown", "Pending")
    assert "turn" in said(waits, "Booted")[2]
    second = Watched(namespace, first.connection, name)
    assert second.servers() == []
    namespace.delete(first.name)
    # The second one learns this at once; on its own, it would ask only after a minute.
    namespace.wait(name, lambda each: said(each, "Ready")[0] == "True", 40)
    namespace.delete(name)


@pytest.mark.slow
def test_an_image_is_not_blamed_for_a_cloud_without_room(
    create: Create, namespace: Namespace, openstack: OpenStack, unique: str
) -> None:
    with flavor(openstack.connect("admin"), unique, ram=2**30):
        watched = create(bootTest=boot_test(flavor=unique))
        failed = namespace.wait_condition(watched.name, "Booted", "False", "NoValidHost")
        assert said(failed, "Ready")[:2] == ("False", "NoValidHost")
        assert condition_of(failed, "Stalled") is None
        state = watched.cleared().status.boot_test
        assert state is not None
        assert state.next_test_time is not None
        assert watched.nothing_left()
    namespace.delete(watched.name)


@pytest.mark.slow
def test_a_server_whose_making_was_not_answered_is_used(
    namespace: Namespace, openstack: OpenStack, create: Create, images: Connection, unique: str
) -> None:
    nova = str(images.compute.get_endpoint())
    lost = Fault("POST", "/servers", "lose answer")
    with FaultProxy(nova, lost) as proxy:
        override = {"compute_endpoint_override": f"{proxy.url}{urlsplit(nova).path}"}
        namespace.put_secret(openstack, unique, images=openstack.cloud("images") | override)
        ref = {"secretName": unique, "cloudName": "images"}
        watched = create(bootTest=boot_test(), cloudCredentialsRef=ref)
        ready = namespace.wait_condition(watched.name, "Ready", reason="Available")
        assert lost.seen == 1, "one server was made"
        assert said(ready, "Booted")[:2] == ("True", "BootTestPassed")
        watched.cleared()
        assert watched.nothing_left()
        namespace.delete(watched.name)
        namespace.wait_gone(watched.name)


HALTS = (Point.BOOT_BEGUN, Point.BOOT_SERVER, Point.BOOT_MARKED, Point.BOOT_FINISHED)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_operator_killed_at_any_point_of_a_test(
    own_namespace: Namespace,
    sources: Sources,
    images: Connection,
    qcow2_disk: Path,
    unique: str,
) -> None:
    namespace, operator = own_namespace, own_namespace.operator
    operator.stop()
    everywhere = (*HALTS, Point.BOOT_CLEARED)
    for point in everywhere:
        name = f"{unique}-{point}"
        operator.start(CLOUDIMAGE_HALT_AT=f"{point}:{name}")
        url = sources.put(f"{name}.qcow2", qcow2_disk)
        namespace.create(name, url, sha256_of(qcow2_disk), bootTest=boot_test())
        assert wait_until(lambda: _is_halted(operator), 120), operator.log()[-3000:]
        operator.kill()
        watched = Watched(namespace, images, name)
        # At most one server, which the next operator goes on with or takes away.
        assert len(watched.servers()) == (point not in {Point.BOOT_BEGUN, Point.BOOT_CLEARED})
    operator.start()
    for point in everywhere:
        watched = Watched(namespace, images, f"{unique}-{point}")
        ready = namespace.wait_condition(watched.name, "Ready", reason="Available")
        assert ready.status.transfers_started == 1
        assert said(ready, "Booted")[:2] == ("True", "BootTestPassed")
        state = watched.cleared().status.boot_test
        assert state is not None
        assert state.attempts == 1, "it goes on with the server that is there"
        assert watched.nothing_left()
        namespace.delete(watched.name)
    for point in everywhere:
        namespace.wait_gone(f"{unique}-{point}")


def _is_halted(operator: Operator) -> bool:
    process = operator.service.process()
    return process is not None and process.status() == psutil.STATUS_STOPPED


@pytest.mark.slow
def test_an_operator_that_is_killed_leaves_no_server(
    own_namespace: Namespace,
    sources: Sources,
    images: Connection,
    qcow2_disk: Path,
    unique: str,
) -> None:
    """Killed when Nova has the server and no status names it; then the object is deleted."""
    namespace, operator = own_namespace, own_namespace.operator
    operator.stop()
    operator.start(CLOUDIMAGE_HALT_AT=f"{Point.BOOT_SERVER}:{unique}")
    url = sources.put(f"{unique}.qcow2", qcow2_disk)
    namespace.create(unique, url, sha256_of(qcow2_disk), bootTest=boot_test())
    assert wait_until(lambda: _is_halted(operator), 120), operator.log()[-3000:]
    operator.kill()
    watched = Watched(namespace, images, unique)
    uid = watched.uid
    assert len(watched.servers(uid)) == len(watched.keys(uid)) == 1
    state = namespace.get(unique)
    assert state is not None
    assert state.status.boot_test is not None
    assert state.status.boot_test.server_id is None
    namespace.delete(unique)
    operator.start()
    namespace.wait_gone(unique)
    assert watched.nothing_left(uid, 1)


@pytest.mark.slow
def test_a_version_that_does_not_boot_is_given_up(
    namespace: Namespace, sources: Sources, openstack: OpenStack, unique: str, tmp_path: Path
) -> None:
    publisher = Publisher(namespace, sources, openstack, unique, tmp_path)
    first = publisher.create(publisher.publish(v1=publisher.build(1)))
    # Both versions show the same here: the first is in use, the second is not to be.
    publisher.publish(v1=publisher.build(1), v2=publisher.build(2))
    test = boot_test({"consoleMatches": "never"})
    namespace.patch(unique, {"spec": {"bootTest": test}})
    publisher.ask()
    given_up = namespace.wait(
        unique, lambda each: said(each, "UpdateAvailable")[1] == "UpdateFailed", 150
    )
    assert given_up.status.follow is not None
    assert given_up.status.follow.available is not None
    assert given_up.status.follow.available.failed
    served = namespace.wait_condition(unique, "Ready", reason="Available")
    assert served.status.image_id == first.status.image_id
    assert publisher.serves(served, 1)
    watched = Watched(namespace, openstack.connect("images"), unique)
    assert wait_until(lambda: len(images_of(watched.connection, watched.uid)) == 1, 60)
    # The image that is in use is also tested, and stays in use.
    namespace.wait_condition(unique, "Booted", "False", "ConsoleMismatch")
    kept = namespace.get(unique)
    assert kept is not None
    assert said(kept, "Ready")[:2] == ("True", "Available")
    assert condition_of(kept, "Stalled") is None
    # It is not retried until the publisher has another version.
    publisher.ask()
    namespace.wait(unique, lambda each: each.status.last_handled_retry == "2")
    namespace.delete(unique)
    namespace.wait_gone(unique)
