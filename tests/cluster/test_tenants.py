"""What one namespace does with its clouds and servers does not hold up another one."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.namespaces import Namespace, condition_of, wait_until
from support.strange_clouds import StrangeCloud
from testbed.images import sha256_of
from testbed.kubernetes import Cluster
from testbed.openstack import OpenStack
from testbed.operator import Operator
from testbed.sources import Sources

pytestmark = [pytest.mark.cluster, pytest.mark.cloud]

OBJECTS = 70
MUCH_SECONDS = 12.0
"""A transfer that ran so long makes way for another tenant's first one."""
SECONDS = 85.0
"""Time for an image of another tenant on a busy machine; a dripping answer would take days."""


@pytest.fixture
def namespaces(
    cluster: Cluster, openstack: OpenStack, crds: Cluster, tmp_path: Path
) -> Iterator[tuple[Namespace, Namespace]]:
    """A hostile and a good namespace of one operator that takes four transfers."""
    hostile, good = cluster.new_namespace("hostile"), cluster.new_namespace("good")
    operator = Operator(cluster, hostile, tmp_path, {"watchNamespaces": [hostile, good]})
    operator.install()
    operator.start(
        CLOUDIMAGE_NAMESPACES=f"{hostile},{good}",
        CLOUDIMAGE_MAX_CONCURRENT_TRANSFERS="4",
        CLOUDIMAGE_RECONCILE_SECONDS="90",
    )
    namespace = Namespace.of(operator)
    yield namespace, namespace.beside(good)
    began = time.monotonic()
    operator.stop()
    assert time.monotonic() - began < 45, "what hangs held up the operator's end"


def test_a_cloud_that_drips_holds_up_its_own_namespace_only(
    namespaces: tuple[Namespace, Namespace],
    openstack: OpenStack,
    sources: Sources,
    raw_disk: Path,
    unique: str,
) -> None:
    hostile, good = namespaces
    url, digest = sources.put(unique, raw_disk), sha256_of(raw_disk)
    good.put_secret(openstack)
    good.create("before", url, digest)
    good.wait_condition("before", "Ready")
    with StrangeCloud() as strange:
        hostile.put_secret(openstack, drip=strange.cloud("drip"))
        for number in range(OBJECTS):
            ref = {"secretName": "openstack", "cloudName": "drip"}
            hostile.create(f"drip-{number}", url, digest, cloudCredentialsRef=ref)
        time.sleep(5)
        # Several: one may have had a free place.
        for name in ("one", "two", "three"):
            good.create(name, url, digest)
        good.patch("before", {"spec": {"image": {"tags": ["changed"]}}})
        began = time.monotonic()
        for name in ("one", "two", "three"):
            good.wait(
                name, lambda each: (condition_of(each, "Ready") or [""])[0] == "True", SECONDS
            )
        good.delete("before")
        good.wait_gone("before", SECONDS)
        assert time.monotonic() - began < SECONDS
        # Beyond the deadline an object says so.
        told = {"InternalError", "CloudUnreachable"}

        def is_told() -> bool:
            first = hostile.get("drip-0")
            return first is not None and any(
                each.reason in told for each in first.status.conditions
            )

        assert wait_until(is_told, 120)
        hostile.operator.stop()  # while they hang


def test_slow_transfers_of_a_namespace_leave_places_for_others(
    namespaces: tuple[Namespace, Namespace],
    openstack: OpenStack,
    sources: Sources,
    raw_disk: Path,
    unique: str,
) -> None:
    hostile, good = namespaces
    digest = sha256_of(raw_disk)
    for namespace in namespaces:
        namespace.put_secret(openstack)
    sources.put(unique, raw_disk)
    for number in range(6):
        hostile.create(f"slow-{number}", sources.url(unique, rate=8192, key=f"{number}"), digest)
    assert wait_until(lambda: len(hostile.operator.transfers()) == 1, 30)
    [slow] = hostile.operator.transfers()
    assert os.sched_getscheduler(slow.pid) == os.SCHED_OTHER, "nobody else is there"
    time.sleep(MUCH_SECONDS)
    good.create("quick", sources.url(unique), digest)
    good.wait("quick", lambda each: (condition_of(each, "Ready") or [""])[0] == "True", SECONDS)
    assert len(hostile.operator.transfers()) == 1, "a namespace has more than a quarter"
    assert os.sched_getscheduler(slow.pid) == os.SCHED_IDLE, "it did not make way"
    for number in range(6):
        hostile.delete(f"slow-{number}")
    for number in range(6):
        hostile.wait_gone(f"slow-{number}")
