"""Many objects on one operator: it does nothing where nothing changed, nothing waits in vain."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bench.__main__ import main
from bench.fleet import Fleet, wait
from testbed.kubernetes import Cluster
from testbed.openstack import OpenStack
from testbed.sources import Sources

pytestmark = [pytest.mark.cluster, pytest.mark.cloud]

OBJECTS = 30
SECONDS = 120.0
LISTINGS = 5
"""Requests: the versions, and those of the hidden and of the other images."""


@pytest.fixture(scope="module")
def fleet(
    crds: Cluster, openstack: OpenStack, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Fleet]:
    """Settled objects, whose operator does not run yet."""
    with Fleet.of(crds, openstack, tmp_path_factory.mktemp("fleet")) as fleet:
        fleet.prepare(OBJECTS)
        yield fleet


def test_a_restart_looks_at_all_and_asks_and_writes_nothing(fleet: Fleet) -> None:
    fleet.age()  # every comparison is overdue, but for the listings
    versions, asked = fleet.versions(), fleet.glance_requests()
    fleet.start()
    fleet.wait_settled(SECONDS)
    assert OBJECTS <= fleet.looks() <= 2 * OBJECTS, "some waited for the listing"
    assert fleet.metric("cloudimage_transfers_total") == 0
    assert fleet.glance_requests() - asked <= LISTINGS
    assert fleet.versions() == versions


@pytest.mark.slow
def test_without_listings_whatever_is_due_is_compared(fleet: Fleet) -> None:
    fleet.operator.stop()
    fleet.age()
    [cloud] = fleet.clouds
    cloud.listings.times = 10**6
    asked = fleet.glance_requests()
    try:
        fleet.start()
        fleet.wait_settled(SECONDS)
    finally:
        cloud.listings.times = 0
    assert fleet.glance_requests() - asked >= 2 * OBJECTS
    synced = [each.status.last_sync_time for each in fleet.listed()]
    assert all(each and datetime.now(UTC) - each < timedelta(hours=1) for each in synced)


def test_changes_and_deletions_do_not_wait_for_transfers(fleet: Fleet, sources: Sources) -> None:
    changed, deleted = fleet.listed()[:2]
    sources.put("slow.raw", bytes(8 << 20))
    for number in range(6):
        fleet.create(f"slow-{number}", sources.url("slow.raw", rate=8192, key=f"{number}"))
    wait(lambda: fleet.under_way() == 6, SECONDS, 0.5)
    fleet.patch(changed.metadata.name, {"spec": {"image": {"properties": {"os_version": "12"}}}})
    fleet.delete(deleted.metadata.name)
    shown = f"/images/{changed.status.image_id}"
    wait(lambda: fleet.glance("GET", shown).json().get("os_version") == "12", SECONDS)
    gone = f"/images/{deleted.status.image_id}"
    wait(lambda: fleet.glance("GET", gone).status_code == 404, SECONDS)
    assert fleet.under_way() == 6


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_quick_bar(openstack: OpenStack, sources: Sources, tmp_path: Path) -> None:
    main(["--quick", "--objects", "12", "--results", str(tmp_path), "many"])
    [path] = tmp_path.iterdir()
    results = json.loads(path.read_text())
    assert results["scale"]["objects"] == 12
    [bar] = results["bars"]
    limits = {each["what"]: each for each in bar["limits"]}
    assert limits["transfers at a restart"]["met"]
    # Writes are counted for the whole API server, which other tests use meanwhile.
    assert limits["objects changed by a restart"]["met"]
    assert limits["memory (PSS) in steady state"]["value"] > 50
    assert limits["slowest of 2 deletions"]["value"] > 0
