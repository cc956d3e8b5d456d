"""Earlier images age with a running operator, and those in use stay.

The clock is moved by the mark that says since when an image ages: nobody waits for days.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from openstack.connection import Connection

from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.names import RETRY_ANNOTATION
from cloudimage.vocabulary.marks import Marks
from support.namespaces import Namespace, images_of, said, server, wait_until
from testbed.images import sha256_of
from testbed.openstack import OpenStack
from testbed.sources import Sources

pytestmark = [pytest.mark.cluster, pytest.mark.cloud]

PATCH = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
AGEING = {
    "keep": 0,
    "rename": "{name} of {built:%Y}",
    "visibleFor": "60d",
    "deprecateAfter": "90d",
    "deleteUnusedAfter": "365d",
}


class Ageing:
    """A CloudImage whose first image was replaced."""

    def __init__(self, namespace: Namespace, images: Connection, name: str) -> None:
        self.namespace, self.images, self.name = namespace, images, name
        self.first = self._served()
        namespace.patch(name, {"spec": {"image": {"diskFormat": "raw"}}})
        self.second = self._served()
        self.old = self.first.status.image_id or ""

    def _served(self) -> CloudImage:
        return self.namespace.wait_condition(self.name, "Ready", reason="Available")

    def image(self) -> dict[str, Any] | None:
        """Return the earlier image, as Glance has it."""
        there = images_of(self.images, self.first.metadata.uid)
        return next((each for each in there if each["id"] == self.old), None)

    def pass_days(self, days: int) -> None:
        """Make the earlier image so many days old, and have the operator look."""
        moment = f"{datetime.now(UTC) - timedelta(days=days):%Y-%m-%dT%H:%M:%SZ}"
        mark = [{"op": "replace", "path": f"/{Marks.REPLACED}", "value": moment}]
        url = f"/images/{self.old}"
        self.images.image.patch(url, json=mark, headers=PATCH).raise_for_status()
        self.ask()

    def ask(self) -> None:
        """Have the operator look now, as a person may."""
        value = {RETRY_ANNOTATION: str(datetime.now(UTC).timestamp())}
        self.namespace.patch(self.name, {"metadata": {"annotations": value}})

    def becomes(self, **wanted: Any) -> bool:
        """Return whether the earlier image becomes so."""

        def holds() -> bool:
            image = self.image() or {}
            return {key: image.get(key) for key in wanted} == wanted

        return wait_until(holds, 30)


@pytest.fixture
def ageing(
    namespace: Namespace, openstack: OpenStack, sources: Sources, qcow2_disk: Path, unique: str
) -> Iterator[Ageing]:
    url = sources.put(f"{unique}.qcow2", qcow2_disk)
    namespace.create(unique, url, sha256_of(qcow2_disk), retention=AGEING)
    yield Ageing(namespace, openstack.connect("images"), unique)
    namespace.delete(unique)


def test_an_earlier_image_ages_through_each_step(ageing: Ageing) -> None:
    name = f"{ageing.name} of {datetime.now(UTC):%Y}"
    assert ageing.becomes(name=name, os_hidden=False, tags=[])
    revision = ageing.second.status.revisions[1]
    assert revision.image_id == ageing.old
    assert revision.replaced is not None
    assert revision.source_checksum is not None

    ageing.pass_days(61)
    assert ageing.becomes(name=name, os_hidden=True, tags=[])
    ageing.pass_days(91)
    assert ageing.becomes(name=name, os_hidden=True, tags=["deprecated"])
    ageing.pass_days(366)
    assert wait_until(lambda: ageing.image() is None, 30)
    settled = ageing.namespace.wait(ageing.name, lambda each: len(each.status.revisions) == 1)
    assert settled.status.image_id == ageing.second.status.image_id
    assert said(settled, "RetentionApplied")[:2] == ("True", "InSync")


def test_one_that_is_used_stays_and_is_named(ageing: Ageing, openstack: OpenStack) -> None:
    project = openstack.project_id("images")
    with server(ageing.images, ageing.name, ageing.old):
        ageing.pass_days(400)
        held = ageing.namespace.wait_condition(ageing.name, "RetentionApplied", "False", "InUse")
        message = said(held, "RetentionApplied")[2]
        assert ageing.old in message
        assert f"1 server of project {project} uses it" in message
        [_, revision] = held.status.revisions
        assert [each.to_json() for each in revision.projects or ()] == [
            {"projectID": project, "servers": 1, "volumes": 0}
        ]
        assert ageing.becomes(os_hidden=True, tags=["deprecated"])
    ageing.ask()
    assert wait_until(lambda: ageing.image() is None, 30)


@pytest.mark.slow
def test_an_image_that_is_returned_to_is_as_if_never_replaced(ageing: Ageing) -> None:
    ageing.pass_days(91)
    assert ageing.becomes(os_hidden=True, tags=["deprecated"])
    ageing.namespace.patch(ageing.name, {"spec": {"image": {"diskFormat": None}}})
    ageing.namespace.wait(ageing.name, lambda each: each.status.image_id == ageing.old)
    assert ageing.becomes(name=ageing.name, os_hidden=False, tags=[])
    assert Marks.REPLACED not in (ageing.image() or {})
