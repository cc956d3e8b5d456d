"""Three operators divide the namespaces; then two do, and nothing is lost or done twice."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cloudimage.api.cloudimage import CloudImage
from cloudimage.shard import Shard
from support.namespaces import Namespace, images_of, wait_until
from support.shares import Shares, members
from testbed.images import sha256_of
from testbed.kubernetes import Cluster
from testbed.openstack import OpenStack
from testbed.operator import RELEASE, Operator
from testbed.sources import Sources

pytestmark = [pytest.mark.cluster, pytest.mark.cloud]

SECONDS = 6
"""Of each Lease."""
SLOW = 2 << 20
"""Bytes per second: the 24 MiB of the disk take twelve seconds."""


@dataclass(frozen=True)
class Operators:
    """Operators of one release, as the chart has them for a number of shards."""

    cluster: Cluster
    namespaces: tuple[str, ...]
    folder: Path

    def operator(self, shard: Shard) -> Operator:
        """Return one of them, which need not run."""
        values = {"watchNamespaces": list(self.namespaces), "shards": shard.count}
        folder = self.folder / f"{shard.index}-of-{shard.count}"
        return Operator(self.cluster, self.namespaces[0], folder, values)

    def start(self, shard: Shard) -> Operator:
        """Start it."""
        operator = self.operator(shard)
        operator.start(
            CLOUDIMAGE_NAMESPACES=",".join(self.namespaces),
            CLOUDIMAGE_LEASE=f"{operator.namespace}/{RELEASE}",
            CLOUDIMAGE_LEASE_SECONDS=str(SECONDS),
            CLOUDIMAGE_SHARD_COUNT=str(shard.count),
            CLOUDIMAGE_SHARD_INDEX=str(shard.index),
        )
        return operator


@pytest.fixture
def operators(cluster: Cluster, crds: Cluster, tmp_path: Path) -> Iterator[Operators]:
    """Namespaces of which each of three, and each of two, has some; all operators end."""
    names: list[str] = []
    while len({index for name in names for index in range(3) if Shard(index, 3).owns(name)}) < 3:
        names.append(cluster.new_namespace("team"))
    made = Operators(cluster, tuple(names), tmp_path)
    made.operator(Shard(0, 3)).install()
    yield made
    for count in (2, 3):
        for index in range(count):
            made.operator(Shard(index, count)).stop()


def leads(operator: Operator) -> bool:
    return '"leading"' in operator.log()


def stands_by(operator: Operator) -> bool:
    return '"standing by"' in operator.log()


def is_seen(resource: CloudImage) -> bool:
    """Return whether the operator has looked at the newest spec."""
    return resource.status.observed_generation == resource.metadata.generation


def looked_at(operator: Operator, name: str) -> bool:
    """Return whether the operator's log mentions a namespace."""
    return f'"{name}"' in operator.log()


def test_operators_divide_the_objects_and_hand_them_over(
    operators: Operators,
    openstack: OpenStack,
    sources: Sources,
    raw_disk: Path,
    qcow2_disk: Path,
    unique: str,
) -> None:
    three = [operators.start(Shard(index, 3)) for index in range(3)]
    teams = [Namespace.of(three[0]).beside(each) for each in operators.namespaces]
    url = sources.put(f"{unique}.raw", raw_disk)
    for team in teams:
        team.put_secret(openstack)
        team.create(unique, url, sha256_of(raw_disk), image={"name": f"{unique} {team.name}"})
    ready = [team.wait_condition(unique, "Ready") for team in teams]
    for team in teams:
        [ours] = [index for index in range(3) if Shard(index, 3).owns(team.name)]
        assert [looked_at(each, team.name) for each in three] == [i == ours for i in range(3)]

    # A share is with its image's operator, wherever it is itself.
    project, (first, *_, last) = openstack.project_id("consumer"), teams
    first.patch(unique, {"spec": {"shareableFrom": {"namespaces": [last.name]}}})
    shares = Shares(last)
    shares.create(unique, {"id": project}, imageRef={"name": unique, "namespace": first.name})
    shares.wait_condition(unique, "Ready", "Shared")
    images = openstack.connect("images")
    assert members(images, ready[0].status.image_id) == {project: "pending"}

    # In the middle of a transfer two take over from three, one of which is killed.
    moving = f"{unique}-moving"
    sources.put(moving, qcow2_disk)
    slowly = sources.url(moving, rate=SLOW)
    last.create(moving, slowly, sha256_of(qcow2_disk), image={"diskFormat": "raw"})
    last.wait(moving, lambda each: each.status.progress is not None)
    two = [operators.start(Shard(index, 2)) for index in range(2)]
    assert wait_until(lambda: all(map(stands_by, two)), 20)
    three[0].kill()
    for operator in three[1:]:
        assert not any(map(leads, two))
        operator.stop()
    assert wait_until(lambda: all(map(leads, two)), 4 * SECONDS)
    moved = last.wait_condition(moving, "Ready")
    assert [each["id"] for each in images_of(images, moved.metadata.uid)] == [moved.status.image_id]

    # Each still has the image it had, and a change is acted on.
    for team, before in zip(teams, ready, strict=True):
        team.patch(unique, {"spec": {"image": {"properties": {"os_distro": "debian"}}}})
        after = team.wait(unique, is_seen)
        team.wait_condition(unique, "Ready")
        assert after.status.image_id == before.status.image_id
        assert after.status.transfers_started == 1
        shown = images.image.get(f"/images/{before.status.image_id}").json()
        assert shown["os_distro"] == "debian"
    assert members(images, ready[0].status.image_id) == {project: "pending"}
