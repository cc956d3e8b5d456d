"""Images that are in Glance already: observed, or taken over."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from openstack.connection import Connection

from cloudimage.api.cloudimage import CloudImage
from cloudimage.vocabulary.marks import Marks
from support.namespaces import Namespace, condition_of, images_of, said, wait_until
from testbed.images import sha256_of
from testbed.openstack import OpenStack
from testbed.sources import Sources

pytestmark = [pytest.mark.cluster, pytest.mark.cloud]

Make = Callable[..., str]
NOWHERE = "00000000-0000-4000-8000-000000000000"


@contextmanager
def _image(connection: Connection, **attributes: Any) -> Iterator[str]:
    body = {"disk_format": "raw", "container_format": "bare", **attributes}
    image_id: str = connection.image.post("/images", json=body).json()["id"]
    octets = {"Content-Type": "application/octet-stream"}
    connection.image.put(f"/images/{image_id}/file", data=b"\0" * 4096, headers=octets)
    yield image_id
    connection.image.delete(f"/images/{image_id}")


@pytest.fixture
def make(openstack: OpenStack, unique: str) -> Iterator[Make]:
    """Make an active image, by default in the project of the CloudImages, for this test alone."""
    with ExitStack() as stack:

        def run(cloud: str = "images", **attributes: Any) -> str:
            wanted = {"name": unique, **attributes}
            return stack.enter_context(_image(openstack.connect(cloud), **wanted))

        yield run


@pytest.fixture
def images(openstack: OpenStack) -> Connection:
    """The project of the CloudImages."""
    return openstack.connect("images")


def observe(namespace: Namespace, name: str, **wanted: Any) -> None:
    unmanaged: dict[str, Any] = {"managementPolicy": "Unmanaged", "import": wanted, "source": None}
    namespace.create(name, "", **unmanaged)


def adopt(namespace: Namespace, name: str, image_id: str, **spec: Any) -> None:
    namespace.create(name, "", **{"adopt": {"id": image_id}, "source": None, **spec})


def message_of(resource: CloudImage, kind: str) -> str:
    return said(resource, kind)[2]


def read(connection: Connection, image_id: str) -> dict[str, Any]:
    image: dict[str, Any] = connection.image.get(f"/images/{image_id}").json()
    return image


def test_an_image_of_another_project_is_observed_and_never_touched(
    namespace: Namespace, openstack: OpenStack, make: Make, unique: str
) -> None:
    image_id = make("consumer", name="theirs", visibility="community")
    consumer = openstack.connect("consumer")
    before = read(consumer, image_id)
    observe(namespace, unique, id=image_id)
    resource = namespace.wait_condition(unique, "Ready", reason="Available")
    assert said(resource, "Synced")[:2] == ("True", "Observed")
    status = resource.status.to_json()
    assert (status["imageID"], status["diskFormat"]) == (image_id, "raw")
    assert (status["visibility"], status["size"]) == ("community", 4096)
    assert status["checksums"]["sha512"] == before["os_hash_value"]
    assert status["usedBy"]["servers"] == 0
    assert resource.metadata.finalizers == ()
    namespace.delete(unique)
    assert namespace.get(unique) is None
    assert read(consumer, image_id) == before


@pytest.mark.slow
def test_an_image_is_looked_for_until_exactly_one_fits(
    namespace: Namespace, images: Connection, make: Make, unique: str
) -> None:
    observe(namespace, unique, filter={"name": unique, "tags": ["golden"]})
    missing = namespace.wait_condition(unique, "Ready", "False", "ImageNotFound")
    assert "Retried with pauses" in message_of(missing, "Stalled")
    # Else it might look between the first of the two and the second.
    namespace.delete(unique)
    namespace.wait_gone(unique)
    make(tags=["silver"])
    made = [make(tags=["golden", "debian"]) for _ in range(2)]
    observe(namespace, unique, filter={"name": unique, "tags": ["golden"]})
    several = namespace.wait_condition(unique, "Ready", "False", "Ambiguous")
    assert all(each in message_of(several, "Ready") for each in made)
    images.image.delete(f"/images/{made[0]}")
    found = namespace.wait_condition(unique, "Ready", reason="Available")
    assert found.status.image_id == made[1]


@pytest.mark.slow
def test_an_observed_image_is_looked_at_again(
    own_namespace: Namespace, openstack: OpenStack, make: Make, unique: str
) -> None:
    own_namespace.operator.stop()
    own_namespace.operator.start(CLOUDIMAGE_RESYNC_SECONDS="5")
    image_id, admin = make(), openstack.connect("admin")
    observe(own_namespace, unique, id=image_id)
    own_namespace.wait_condition(unique, "Ready")
    admin.image.post(f"/images/{image_id}/actions/deactivate").raise_for_status()
    own_namespace.wait_condition(unique, "Ready", "False", "Deactivated")
    admin.image.post(f"/images/{image_id}/actions/reactivate").raise_for_status()
    own_namespace.wait_condition(unique, "Ready", "True", "Available")
    admin.image.delete(f"/images/{image_id}")
    own_namespace.wait_condition(unique, "Ready", "False", "ImageNotFound")


def test_an_adopted_image_is_like_one_made_here(
    namespace: Namespace, images: Connection, make: Make, unique: str
) -> None:
    image_id = make(name="before", os_distro="debian")
    adopt(namespace, unique, image_id, image={"tags": ["golden"], "diskFormat": "raw"})
    resource = namespace.wait_condition(unique, "Ready", reason="Available")
    image = read(images, image_id)
    assert (resource.status.image_id, image["name"], image["tags"]) == (
        image_id,
        unique,
        ["golden"],
    )
    assert image[Marks.UID] == resource.metadata.uid
    assert image[Marks.VERIFIED] == f"sha512:{image['os_hash_value']}"
    assert image["os_distro"] == "debian"
    assert namespace.told_once(unique, "Normal", "Adopted")
    assert said(resource, "Verified")[0] == "Unknown"
    namespace.delete(unique)
    namespace.wait_gone(unique)
    assert images_of(images, resource.metadata.uid) == []


def test_an_adopted_image_without_a_source_that_vanishes_is_missed(
    namespace: Namespace, images: Connection, make: Make, unique: str
) -> None:
    image_id = make()
    adopt(namespace, unique, image_id)
    namespace.wait_condition(unique, "Ready")
    images.image.delete(f"/images/{image_id}")
    namespace.patch(unique, {"spec": {"image": {"tags": ["t"]}}})
    gone = namespace.wait_condition(unique, "Ready", "False", "ImageDeleted")
    assert "Retried with pauses" in message_of(gone, "Stalled")
    namespace.delete(unique)
    namespace.wait_gone(unique)


def test_adopted_bytes_are_those_of_the_source_until_that_changes(
    namespace: Namespace,
    images: Connection,
    sources: Sources,
    qcow2_disk: Path,
    make: Make,
    unique: str,
) -> None:
    image_id = make()
    url = sources.put(f"{unique}.qcow2", qcow2_disk)
    http = {"url": url, "checksum": {"sha256": sha256_of(qcow2_disk)}}
    adopt(namespace, unique, image_id, source={"http": http})
    first = namespace.wait_condition(unique, "Ready", reason="Available")
    assert first.status.image_id == image_id
    assert sources.requests(f"{unique}.qcow2") == []
    namespace.patch(unique, {"spec": {"image": {"diskFormat": "qcow2"}}})
    second = namespace.wait_condition(unique, "Ready", reason="Available")
    assert second.status.image_id != image_id
    assert {each.image_id for each in second.status.revisions} == {
        image_id,
        second.status.image_id,
    }
    assert read(images, image_id)["os_hidden"]


def test_an_adopted_image_that_is_lost_is_made_from_the_source(
    namespace: Namespace,
    images: Connection,
    sources: Sources,
    qcow2_disk: Path,
    make: Make,
    unique: str,
) -> None:
    image_id, url = make(), sources.put(f"{unique}.qcow2", qcow2_disk)
    adopt(namespace, unique, image_id, source={"http": {"url": url}})
    namespace.wait_condition(unique, "Ready")
    images.image.delete(f"/images/{image_id}")
    namespace.patch(unique, {"spec": {"image": {"tags": ["t"]}}})
    made = namespace.wait(
        unique,
        lambda each: (
            each.status.image_id not in {None, image_id}
            and (condition_of(each, "Ready") or ("", ""))[1] == "Available"
        ),
    )
    assert said(made, "Uploaded")[1] == "HashMatched"


@pytest.mark.slow
def test_an_image_that_is_managed_is_not_taken_over_before_it_is_let_go(
    namespace: Namespace, images: Connection, make: Make, unique: str
) -> None:
    image_id = make()
    adopt(namespace, unique, image_id, deletionPolicy="Orphan")
    owner = namespace.wait_condition(unique, "Ready")
    adopt(namespace, f"{unique}-2", image_id)
    refused = namespace.wait_condition(f"{unique}-2", "Stalled", reason="AdoptionRefused")
    assert f"the CloudImage {unique} of this namespace" in message_of(refused, "Ready")
    assert read(images, image_id)[Marks.UID] == owner.metadata.uid
    namespace.delete(unique)
    namespace.wait_gone(unique)
    after = namespace.wait_condition(f"{unique}-2", "Ready")
    assert after.status.image_id == image_id


@pytest.mark.parametrize(
    ("image", "spec", "reason", "why"),
    [
        (None, {}, "ImageNotFound", NOWHERE),
        (("consumer", {"visibility": "community"}), {}, "AdoptionRefused", "belongs to project"),
        (("images", {}), {"diskFormat": "qcow2"}, "AdoptionRefused", "disk format is raw"),
    ],
    ids=["none", "of another project", "of another format"],
)
def test_what_cannot_be_taken_over_says_why(
    namespace: Namespace,
    make: Make,
    unique: str,
    image: tuple[str, dict[str, Any]] | None,
    spec: dict[str, Any],
    reason: str,
    why: str,
) -> None:
    image_id = make(image[0], **image[1]) if image else NOWHERE
    adopt(namespace, unique, image_id, image=spec)
    refused = namespace.wait_condition(unique, "Stalled", reason=reason)
    assert why in message_of(refused, "Ready")
    assert said(refused, "Ready")[0] == "False"
    namespace.delete(unique)
    namespace.wait_gone(unique)


def test_another_id_that_cannot_be_taken_over_leaves_the_first_serving(
    namespace: Namespace, images: Connection, make: Make, unique: str
) -> None:
    first, second = make(), make(name=f"{unique}-second")
    adopt(namespace, unique, first)
    namespace.wait_condition(unique, "Ready")
    namespace.patch(unique, {"spec": {"adopt": {"id": NOWHERE}}})
    failed = namespace.wait_condition(unique, "Ready", reason="RevisionFailed")
    assert failed.status.image_id == first
    namespace.patch(unique, {"spec": {"adopt": {"id": second}}})
    taken = namespace.wait_condition(unique, "Ready", reason="Available")
    assert taken.status.image_id == second
    assert wait_until(lambda: read(images, first)["os_hidden"], 10)
    assert read(images, second)["name"] == unique
