"""Many images that follow one publisher: its list is asked for once in each interval."""

import hashlib
import math
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bench.fleet import BYTES, Fleet, wait
from testbed.kubernetes import Cluster
from testbed.openstack import OpenStack
from testbed.sources import Sources

pytestmark = [pytest.mark.cluster, pytest.mark.cloud]

OBJECTS = 200
EVERY_SECONDS = 120


@pytest.fixture
def fleet(crds: Cluster, openstack: OpenStack, tmp_path: Path) -> Iterator[Fleet]:
    with Fleet.of(crds, openstack, tmp_path) as fleet:
        yield fleet


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_two_hundred_images_ask_for_one_list_once_in_an_interval(
    fleet: Fleet, sources: Sources, unique: str
) -> None:
    digest, sums = hashlib.sha256(BYTES).hexdigest(), f"{unique}/SHA256SUMS"
    listed = sources.put(sums, f"{digest}  disk.raw\n".encode())
    url = sources.url(f"{unique}/disk.raw")
    fleet.prepare(OBJECTS, {"url": url, "checksum": {"from": {"url": listed}}})
    names = [each.metadata.name for each in fleet.listed()]

    def follow(name: str) -> None:
        # What a transfer would have written down.
        fleet.patch_status(name, {"source": {"checksums": {"sha256": digest}}})
        fleet.patch(name, {"spec": {"follow": {"every": f"{EVERY_SECONDS}s"}}})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(follow, names))
    begun = time.time()
    fleet.start()
    checks = "cloudimage_follow_checks_total"
    wait(lambda: fleet.metric(checks) >= 3 * OBJECTS, 5 * EVERY_SECONDS, 2)
    # One at once, and one in each interval that has begun since.
    intervals = math.ceil(time.time() / EVERY_SECONDS) - math.floor(begun / EVERY_SECONDS)
    statuses = [each.status for each in sources.requests(sums)]
    assert 2 <= len(statuses) <= intervals
    assert set(statuses) <= {200, 304}
    states = [each.status for each in fleet.listed()]
    assert {each.follow.version for each in states if each.follow} == {f"sha256:{digest}"}
    assert len({each.image_id for each in states}) == OBJECTS
    assert fleet.metric("cloudimage_transfers_total") == 0
