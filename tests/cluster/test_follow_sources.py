"""Registries, buckets, Glance and servers are followed; what a kill interrupts is not repeated."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudimage.failpoints import Point
from support.followed import LONG_AGO, Followed, kill_at
from support.namespaces import Namespace, images_of, said, wait_until
from support.openstack_actions import boot, make_image
from testbed.buckets import OWNER, REGION, Buckets
from testbed.images import disk, sha256_of
from testbed.oci_images import artifact
from testbed.openstack import OpenStack
from testbed.registry import Registry
from testbed.sources import Sources

pytestmark = [pytest.mark.cluster, pytest.mark.cloud]

BUCKET = "followed"


@pytest.fixture
def followed(namespace: Namespace, openstack: OpenStack, unique: str) -> Iterator[Followed]:
    """A CloudImage that is yet to be created."""
    yield Followed(namespace, openstack, unique)
    namespace.delete(unique)


@pytest.fixture
def own_followed(own_namespace: Namespace, openstack: OpenStack, unique: str) -> Followed:
    """The same, for a test that kills its operator."""
    return Followed(own_namespace, openstack, unique)


@pytest.fixture
def disks(tmp_path: Path) -> list[Path]:
    """Disks that differ."""
    return [
        disk(tmp_path / f"{each}.qcow2", "qcow2", virtual_size=8 << 20, data_bytes=(each + 1) << 20)
        for each in range(3)
    ]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_first_image_that_fails_for_good_waits_until_its_tag_moves(
    own_followed: Followed, registry: Registry, disks: list[Path], tmp_path: Path
) -> None:
    followed, namespace, name = own_followed, own_followed.namespace, own_followed.name
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "registry"},
        "type": "kubernetes.io/dockerconfigjson",
        "stringData": {".dockerconfigjson": registry.docker_config(), "ca.crt": registry.ca},
    }
    namespace.cluster.run_kubectl(
        "apply", "-n", namespace.name, "-f", "-", stdin=json.dumps(secret)
    )
    # Only QEMU's magic.
    (tmp_path / "bad.qcow2").write_bytes(b"QFI\xfb" + bytes(1000))
    image = artifact(registry, f"{name}:stable", tmp_path, "bad.qcow2")
    oci = {
        "image": image,
        "pullSecret": "registry",
        "caCertificate": {"secret": {"name": "registry", "key": "ca.crt"}},
    }
    namespace.create(name, "", source={"oci": oci}, follow={"every": "6h"})
    stalled = namespace.wait_condition(name, "Stalled")
    assert said(stalled, "Following")[:2] == ("True", "Asked")
    assert stalled.status.transfers_started == 1

    namespace.operator.kill()
    followed.make_due()
    namespace.operator.start()
    same = followed.wait_checked()
    assert said(same, "Stalled")[0] == "True"
    assert same.status.transfers_started == 1

    artifact(registry, f"{name}:stable", tmp_path, disks[0].name)
    digest = registry.crane("digest", image).strip()
    namespace.operator.kill()
    followed.make_due()
    kill_at(namespace, name, [Point.RESOLVED])
    namespace.operator.start()
    ready = followed.wait_version(digest)
    assert followed.content(ready) == sha256_of(disks[0])
    assert ready.status.transfers_started == 2
    assert ready.status.revisions[0].source == f"{image}@{digest}"

    artifact(registry, f"{name}:stable", tmp_path, disks[1].name)
    followed.ask()
    second = followed.wait_version(registry.crane("digest", image).strip())
    assert followed.content(second) == sha256_of(disks[1])
    namespace.delete(name)
    namespace.wait_gone(name)


def test_an_object_of_a_bucket_is_followed_by_its_version(
    followed: Followed, buckets: Buckets, disks: list[Path]
) -> None:
    namespace, name = followed.namespace, followed.name
    buckets.make(BUCKET)
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "followed-bucket"},
        "stringData": {
            "AWS_ACCESS_KEY_ID": OWNER.id,
            "AWS_SECRET_ACCESS_KEY": OWNER.secret,
            "ca.crt": buckets.authority.read_text(),
        },
    }
    namespace.cluster.run_kubectl(
        "apply", "-n", namespace.name, "-f", "-", stdin=json.dumps(secret)
    )
    s3 = {
        "endpoint": buckets.secure_endpoint,
        "region": REGION,
        "bucket": BUCKET,
        "key": name,
        "credentialsRef": {"secretName": "followed-bucket"},
        "caCertificate": {"secret": {"name": "followed-bucket", "key": "ca.crt"}},
    }
    buckets.put(BUCKET, name, disks[0])
    namespace.create(name, "", source={"s3": s3})
    first = namespace.wait_condition(name, "Ready")
    assert first.status.source is not None

    namespace.patch(name, {"spec": {"follow": {"every": "6h"}}})
    asked = followed.wait_version(first.status.source.version or "")
    assert (asked.status.image_id, asked.status.transfers_started) == (first.status.image_id, 1)

    buckets.put(BUCKET, name, disks[1])
    followed.ask()
    second = namespace.wait(
        name,
        lambda each: (
            each.status.image_id != first.status.image_id and said(each, "Ready")[0] == "True"
        ),
    )
    assert followed.content(second) == sha256_of(disks[1])
    assert second.status.follow is not None
    assert second.status.source is not None
    assert second.status.follow.version == second.status.source.version

    # A version that was in use before is not used again automatically.
    buckets.put(BUCKET, name, disks[0])
    followed.ask()
    back = namespace.wait_condition(name, "Following", "False", "SourceWentBack")
    assert back.status.image_id == second.status.image_id


@pytest.mark.slow
def test_a_name_in_glance_is_followed(followed: Followed, disks: list[Path]) -> None:
    namespace, name, cloud = followed.namespace, followed.name, followed.openstack.connect("images")
    shape = {"disk_format": "qcow2", "visibility": "private"}
    old = make_image(cloud, disks[0].read_bytes(), name=f"{name}-golden", **shape)
    source = {"glance": {"name": f"{name}-golden"}}
    namespace.create(name, "", source=source, follow={"every": "6h", "policy": "Report"})
    first = followed.wait_version(old.id)
    assert followed.content(first) == sha256_of(disks[0])

    cloud.image.delete_image(old)
    followed.ask()
    lost = namespace.wait_condition(name, "Following", "False", "SourceNotFound")
    assert said(lost, "Ready")[0] == "True"
    assert lost.status.follow is not None
    assert lost.status.follow.next_check_time is not None

    new = make_image(cloud, disks[1].read_bytes(), name=f"{name}-golden", **shape)
    followed.ask()
    told = namespace.wait_condition(name, "UpdateAvailable", reason="UpdateReported")
    assert told.status.image_id == first.status.image_id
    namespace.patch(name, {"spec": {"follow": {"policy": "Apply"}}})
    assert followed.content(followed.wait_version(new.id)) == sha256_of(disks[1])
    cloud.image.delete_image(new)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_server_is_taken_a_snapshot_of_once_at_each_time(
    own_followed: Followed, disks: list[Path], tmp_path: Path
) -> None:
    followed, namespace, name = own_followed, own_followed.namespace, own_followed.name
    cloud = followed.openstack.connect("images")
    raw = disk(tmp_path / "small.raw", "raw")
    image = make_image(cloud, raw.read_bytes(), visibility="private")
    server = boot(cloud, image.id)
    source = {"server": {"id": server.id}}
    namespace.create(name, "", source=source, follow={"every": "1d"}, revisionHistoryLimit=9)
    first = namespace.wait_condition(name, "Ready")
    assert said(first, "Following")[:2] == ("True", "Asked")
    assert first.status.resolved_source is not None
    assert first.status.resolved_source.initial

    # The time of the last snapshot is moved back, as if a day had passed.
    namespace.operator.kill()
    followed.patch_status({"resolvedSource": {"version": LONG_AGO}})
    followed.make_due()
    points = (Point.RESOLVED, Point.STARTING, Point.SNAPSHOT)
    kill_at(namespace, name, points)
    namespace.operator.start()
    second = namespace.wait(
        name,
        lambda each: (
            each.status.image_id != first.status.image_id
            and said(each, "Ready")[0] == "True"
            and said(each, "UpdateAvailable")[1] == "UpToDate"
        ),
    )
    found = images_of(cloud, second.metadata.uid)
    assert {each["id"] for each in found} == {first.status.image_id, second.status.image_id}
    namespace.delete(name)
    namespace.wait_gone(name)
    cloud.compute.delete_server(server)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_what_is_killed_at_any_point_of_an_update_repeats_nothing(
    own_followed: Followed, sources: Sources, disks: list[Path]
) -> None:
    followed, namespace, name = own_followed, own_followed.namespace, own_followed.name
    cloud = followed.openstack.connect("images")

    def publish(build: int) -> None:
        sources.put(f"{name}/disk-{build}.qcow2", disks[build])
        listed = f"{sha256_of(disks[build])}  disk-{build}.qcow2\n"
        sources.put(f"{name}/SHA256SUMS", listed.encode())

    publish(0)
    # Slow, so that a look at it can be killed.
    sums = sources.url(f"{name}/SHA256SUMS", rate=16)
    http = {
        "index": {"checksums": sums, "pattern": r"disk-(?P<version>\d)\.qcow2"},
        "checksum": {"from": {"url": sums, "filename": "$(name)"}},
    }
    namespace.create(name, "", source={"http": http}, follow={"every": "6h"})
    first = followed.wait_version("0")
    publish(1)

    followed.ask()
    assert wait_until(lambda: namespace.operator.transfers() != [], 30)
    for look in namespace.operator.transfers():
        look.kill()
    lost = namespace.wait_condition(name, "Following", "False", "InternalError")
    assert (lost.status.image_id, said(lost, "Ready")[0]) == (first.status.image_id, "True")

    namespace.operator.kill()
    followed.ask()
    asked = len(sources.requests(f"{name}/SHA256SUMS"))
    points = (
        *(Point.RESOLVED, Point.STARTING, Point.FETCHED, Point.CREATED, Point.STORED),
        Point.PATCHED,
    )
    kill_at(namespace, name, points)
    namespace.operator.start()
    second = followed.wait_version("1")
    assert followed.content(second) == sha256_of(disks[1])
    found = images_of(cloud, second.metadata.uid)
    assert {each["id"] for each in found} == {first.status.image_id, second.status.image_id}
    assert [each.version for each in second.status.revisions] == ["1", "0"]
    # What was found is written down, and the transfers read the list that the look has fetched.
    answers = [each.status for each in sources.requests(f"{name}/SHA256SUMS")[asked:]]
    assert answers.count(200) == 1
    assert set(answers) <= {200, 304}
    events = namespace.events(name)
    assert events.count(("Normal", "Updating")) == 1
    namespace.delete(name)
    namespace.wait_gone(name)
