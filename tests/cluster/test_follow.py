"""An image keeps up with its publisher, and never gets worse by that."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.namespaces import (
    Namespace,
    condition_of,
    images_of,
    said,
    wait_until,
)
from support.publisher import Publisher
from testbed.images import sha256_of
from testbed.openstack import OpenStack
from testbed.sources import Sources

pytestmark = [pytest.mark.cluster, pytest.mark.cloud]


@pytest.fixture
def publisher(
    namespace: Namespace, sources: Sources, openstack: OpenStack, unique: str, tmp_path: Path
) -> Iterator[Publisher]:
    publisher = Publisher(namespace, sources, openstack, unique, tmp_path)
    yield publisher
    namespace.delete(unique)


def test_a_new_build_becomes_the_image_that_is_served(publisher: Publisher) -> None:
    sums = publisher.publish(v1=publisher.build(1), v1_1=publisher.build(2))
    first = publisher.create(sums)
    assert publisher.serves(first, 2)
    assert first.status.follow is not None
    assert first.status.follow.version == "1.1"
    assert first.status.follow.next_check_time is not None

    publisher.publish(v1_1=publisher.build(2), v1_10=publisher.build(3))
    publisher.ask()
    second = publisher.wait_version("1.10")
    assert publisher.serves(second, 3)
    assert {each.version: each.current for each in second.status.revisions} == {
        "1.1": False,
        "1.10": True,
    }
    assert ("Normal", "Updating") in publisher.namespace.events(publisher.name)


def test_a_new_build_is_only_told_where_that_is_asked_for(publisher: Publisher) -> None:
    first = publisher.create(publisher.publish(v1=publisher.build(1)), policy="Report")
    publisher.publish(v1=publisher.build(1), v2=publisher.build(2))
    publisher.ask()
    told = publisher.namespace.wait_condition(
        publisher.name, "UpdateAvailable", reason="UpdateReported"
    )
    assert told.status.image_id == first.status.image_id
    assert said(told, "UpdateAvailable")[2] == "The source has 2; served is 1."

    publisher.namespace.patch(publisher.name, {"spec": {"follow": {"policy": "Apply"}}})
    assert publisher.serves(publisher.wait_version("2"), 2)


def test_a_bad_build_changes_nothing_until_there_is_another(publisher: Publisher) -> None:
    first = publisher.create(publisher.publish(v1=publisher.build(1)))
    publisher.publish(v1=publisher.build(1), v2=b"no disk" * 1000)
    publisher.ask()
    failed = publisher.namespace.wait_condition(
        publisher.name, "UpdateAvailable", reason="UpdateFailed"
    )
    settled = publisher.namespace.wait_condition(publisher.name, "Ready")
    assert settled.status.image_id == first.status.image_id
    assert failed.status.follow is not None
    assert failed.status.follow.available is not None
    assert failed.status.follow.available.version == "2"
    images = publisher.openstack.connect("images")
    assert [each["id"] for each in images_of(images, first.metadata.uid)] == [first.status.image_id]

    publisher.publish(v1=publisher.build(1), v3=publisher.build(3))
    publisher.ask()
    assert publisher.serves(publisher.wait_version("3"), 3)


def test_a_publisher_that_goes_back_is_not_followed(publisher: Publisher) -> None:
    first = publisher.create(publisher.publish(v1=publisher.build(1), v2=publisher.build(2)))
    publisher.publish(v1=publisher.build(1))
    publisher.ask()
    refused = publisher.namespace.wait_condition(
        publisher.name, "Following", status="False", reason="SourceWentBack"
    )
    assert refused.status.image_id == first.status.image_id
    assert said(refused, "Ready")[0] == "True"
    events = publisher.namespace.events
    assert wait_until(lambda: ("Warning", "SourceWentBack") in events(publisher.name), 20)

    publisher.sources.put(f"{publisher.name}/SHA256SUMS", b"<html>down</html>")
    publisher.ask()
    lost = publisher.namespace.wait_condition(
        publisher.name, "Following", status="False", reason="SumsFileInvalid"
    )
    assert said(lost, "Ready")[0] == "True"


def test_an_image_that_is_followed_from_now_on_is_not_made_again(publisher: Publisher) -> None:
    sums = publisher.publish(v1=publisher.build(1))
    http = {
        "url": publisher.sources.url(f"{publisher.name}/disk-1.raw"),
        "checksum": {"from": {"url": sums}},
    }
    publisher.namespace.create(publisher.name, "", source={"http": http})
    first = publisher.namespace.wait_condition(publisher.name, "Ready")
    assert condition_of(first, "Following") is None

    publisher.namespace.patch(publisher.name, {"spec": {"follow": {"every": "6h"}}})
    asked = publisher.namespace.wait_condition(publisher.name, "Following", reason="Asked")
    assert (asked.status.image_id, asked.status.digest) == (
        first.status.image_id,
        first.status.digest,
    )

    publisher.sources.put(f"{publisher.name}/disk-1.raw", publisher.build(2))
    listed = f"{sha256_of(publisher.build(2))}  disk-1.raw\n"
    publisher.sources.put(f"{publisher.name}/SHA256SUMS", listed.encode())
    publisher.ask()
    second = publisher.wait_version(f"sha256:{sha256_of(publisher.build(2))}")
    assert publisher.serves(second, 2)

    publisher.namespace.patch(publisher.name, {"spec": {"follow": None}})
    kept = publisher.namespace.wait(publisher.name, lambda each: each.status.follow is None)
    assert kept.status.image_id == second.status.image_id
