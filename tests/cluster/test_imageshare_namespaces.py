"""An ImageShare of another namespace shares what the CloudImage lets it share, and no longer."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.namespaces import Namespace
from support.shares import Shares, members
from testbed.kubernetes import Cluster
from testbed.openstack import OpenStack
from testbed.operator import Operator
from testbed.sources import Sources

pytestmark = [pytest.mark.cluster, pytest.mark.cloud]


@pytest.fixture
def namespaces(
    cluster: Cluster, openstack: OpenStack, crds: Cluster, tmp_path: Path
) -> Iterator[tuple[Namespace, Namespace]]:
    """Two namespaces with one operator; credentials are in the first one only."""
    first, second = cluster.new_namespace("publisher"), cluster.new_namespace("team")
    operator = Operator(cluster, first, tmp_path, {"watchNamespaces": [first, second]})
    operator.install()
    operator.start(CLOUDIMAGE_NAMESPACES=f"{first},{second}")
    publisher = Namespace.of(operator)
    publisher.put_secret(openstack)
    yield publisher, publisher.beside(second)
    operator.stop()


def test_only_who_is_named_shares_and_who_is_no_longer_takes_back(
    namespaces: tuple[Namespace, Namespace],
    openstack: OpenStack,
    sources: Sources,
    raw_disk: Path,
    unique: str,
) -> None:
    publisher, team = namespaces
    shares, project = Shares(team), openstack.project_id("consumer")
    ref = {"name": unique, "namespace": publisher.name}
    shares.create(unique, {"id": project}, imageRef=ref)
    missing = shares.wait_condition(unique, "Stalled", "NotShareable")

    publisher.create(unique, sources.put(f"{unique}.raw", raw_disk))
    image_id = publisher.wait_condition(unique, "Ready").status.image_id
    # Whether it is there is not for everybody to know.
    assert shares.wait_condition(unique, "Stalled", "NotShareable") == missing
    images = openstack.connect("images")
    assert images.image.get(f"/images/{image_id}").json()["visibility"] == "private"

    publisher.patch(unique, {"spec": {"shareableFrom": {"namespaces": [team.name]}}})
    shares.wait_condition(unique, "Ready", "Shared", seconds=10)
    assert members(images, image_id) == {project: "pending"}
    publisher.patch(unique, {"spec": {"shareableFrom": {"namespaces": []}}})
    shares.wait_condition(unique, "Stalled", "NotShareable")
    shares.wait(unique, lambda each: not each.status.projects)
    assert members(images, image_id) == {}
    # It gave nothing that is left, so it holds nothing up.
    publisher.delete(unique)
    publisher.wait_gone(unique)
    shares.delete(unique)
    shares.wait_gone(unique)


def test_a_share_whose_cloudimage_was_forced_away_goes_too(
    namespaces: tuple[Namespace, Namespace],
    openstack: OpenStack,
    sources: Sources,
    raw_disk: Path,
    unique: str,
) -> None:
    publisher, team = namespaces
    shares, project = Shares(team), openstack.project_id("consumer")
    allowed = {"namespaces": [team.name]}
    publisher.create(unique, sources.put(f"{unique}.raw", raw_disk), shareableFrom=allowed)
    ref = {"name": unique, "namespace": publisher.name}
    shares.create(unique, {"id": project}, imageRef=ref)
    shares.wait_condition(unique, "Ready", "Shared")
    publisher.delete(unique)
    blocked = publisher.wait_condition(unique, "DeletionBlocked", reason="Shared")
    assert f"{team.name}/{unique}" in str(blocked.status.conditions)
    annotation = {"cloudimage.dev/force-delete": "true"}
    publisher.patch(unique, {"metadata": {"annotations": annotation}})
    publisher.wait_gone(unique)
    shares.wait_condition(unique, "Stalled", "NotShareable")
    shares.delete(unique)
    shares.wait_gone(unique)
