"""The manifests that copy an image from another cloud."""

from dataclasses import replace
from typing import Any

import pytest
import yaml

from cloudimage.api.cloudimage import CloudImageSpec
from cloudimage.api.imageshare import ImageShareSpec
from cloudimage.cli import migrate
from cloudimage.cli.errors import CommandError
from cloudimage.cloud.models import GlanceImage, Member
from cloudimage.images.logic import effective
from support.resources import NOW, cloud_image, glance_image

WANTED = migrate.Wanted("openstack", "new", "old-cloud", "old")


def old(**changes: Any) -> GlanceImage:
    """Return an image of the old cloud with everything that an image can have."""
    given = {
        "name": "Debian 12",
        "min_disk": 3,
        "min_ram": 512,
        "protected": True,
        "hidden": True,
        "visibility": "public",
        "owner": "p-old",
        "tags": frozenset({"b", "a"}),
        "properties": {"os_distro": "debian", "os_glance_stage": "x", "kernel_id": "k-1"},
        **changes,
    }
    return glance_image(cloud_image(), **given)


def spec(image: GlanceImage, **wanted: Any) -> Any:
    return migrate.cloud_image(image, "debian", replace(WANTED, **wanted))["spec"]


def test_everything_of_the_image_goes_over() -> None:
    image = old()
    made = spec(image)
    assert made == {
        "cloudCredentialsRef": {"secretName": "openstack", "cloudName": "new"},
        "source": {
            "glance": {
                "cloudCredentialsRef": {"secretName": "old-cloud", "cloudName": "old"},
                "id": image.id,
            }
        },
        "image": {
            "name": "Debian 12",
            "diskFormat": "raw",
            "containerFormat": "bare",
            "minDiskGiB": 3,
            "minRamMiB": 512,
            "protected": True,
            "hidden": True,
            "tags": ["a", "b"],
            # Neither Glance's own, nor the old cloud's, nor marks of the CloudImage it was made by.
            "properties": {"os_distro": "debian"},
        },
    }
    CloudImageSpec.model_validate(made)


def test_dollars_are_no_variables_of_the_new_object() -> None:
    text = "A $$ B $(version)"
    made = spec(old(name=text, tags=frozenset({text}), properties={"note": text}))
    new = cloud_image().model_copy(update={"spec": CloudImageSpec.model_validate(made)})
    image = effective.applied(new).spec.image
    assert (image.name, image.tags, image.properties) == (text, {text}, {"note": text})


def test_owner_and_visibility_only_when_asked() -> None:
    made = spec(old(), visibility=True, owner=True)["image"]
    assert (made["visibility"], made["owner"]) == ("public", "p-old")


def test_what_an_image_does_not_have_is_left_out() -> None:
    bare = old(
        name="debian", min_disk=0, min_ram=0, protected=False, hidden=False, tags=frozenset()
    )
    assert set(spec(bare)["image"]) == {"diskFormat", "containerFormat", "properties"}


def test_a_kernel_that_is_copied_too_is_referred_to_by_its_new_object() -> None:
    image = old(disk_format="ami", container_format="ami")
    made = spec(image, names={"k-1": "vmlinuz"})["image"]
    assert made["kernelRef"] == {"name": "vmlinuz"}
    assert "kernel_id" not in made["properties"]
    text = text_of(image, replace(WANTED, names={"k-1": "vmlinuz"}))
    assert "kernel_id" not in text
    assert "kernel_id" in text_of(image)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"status": "queued", "size": None}, "its status is queued"),
        ({"status": "deactivated"}, "an administrator can reactivate it"),
        ({"size": 0}, "no bytes of its own"),
        ({"disk_format": "ploop2"}, "disk format ploop2"),
        ({"container_format": "ova"}, "container format ova"),
        ({"container_format": "tar"}, "container format tar"),
    ],
)
def test_what_cannot_be_copied(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(CommandError, match=words):
        migrate.check(old(**changes))


def text_of(image: GlanceImage, wanted: migrate.Wanted = WANTED) -> str:
    head = migrate.comments(image, wanted, "old")
    return migrate.render(head, [migrate.cloud_image(image, "debian", wanted)])


def test_what_is_printed_can_be_applied_and_kept_in_git() -> None:
    image = old()
    [document] = yaml.safe_load_all(text_of(image))
    assert document == migrate.cloud_image(image, "debian", WANTED)
    other_order = old(properties=dict(reversed(image.properties.items())))
    assert text_of(other_order) == text_of(image)


def test_the_comments_say_what_to_heed() -> None:
    text = text_of(old())
    assert (
        "Copies image Debian 12 (11111111-1111-4111-8111-111111111111, 2.0 GiB) of cloud old."
        in (text)
    )
    assert "kernel_id, os_glance_stage." in text
    bare = text_of(old(hash_algo=None, hash_value=None, checksum=None, properties={}))
    assert "compared by their size alone" in bare
    assert "Left out" not in bare


def test_members_become_an_image_share() -> None:
    said: Any = {"b": "accepted", "a": "pending", "c": "rejected"}
    members = [Member(name, status, NOW) for name, status in said.items()]
    share = migrate.image_share("debian", members, replace(WANTED, namespace="images"))
    assert share is not None
    assert share["metadata"] == {"name": "debian", "namespace": "images"}
    assert share["spec"] == {
        "imageRef": {"name": "debian"},
        "projects": [{"id": "a"}, {"id": "b"}],
    }
    ImageShareSpec.model_validate(share["spec"])
    assert migrate.image_share("debian", members[2:], WANTED) is None


# As Nova 33 wrote them for a server with a password that was snapshotted by an administrator, with
# those that libvirt's driver adds and those of a shelved one.
OF_A_SNAPSHOT = {
    "base_image_ref": "0d4bbb2a-7d4a-4b0f-a0ce-8a1d3b5f8a6e",
    "boot_roles": "member,reader",
    "clean_attempts": "1",
    "image_location": "snapshot",
    "image_state": "available",
    "image_type": "snapshot",
    "instance_owner": "875f7888e167422e88fa78e0c2160344",
    "instance_uuid": "f0d5b6a5-c697-423a-b0ec-9525ba359956",
    "kernel_id": "",
    "network_allocated": "True",
    "old_vm_state": "active",
    "owner_id": "875f7888e167422e88fa78e0c2160344",
    "owner_project_name": "images",
    "owner_specified.openstack.sha256": "",
    "owner_user_name": "alice",
    "password_0": "rF2mXy",
    "password_3": "",
    "ramdisk_id": "",
    "shelved_at": "2026-01-02T03:04:05.000000",
    "user_id": "61e7b2c2d1a94b3e8bd1b1b7a1a5a9e0",
    "vtpm_secret_uuid": "3b1b2a4c-0000-4000-8000-000000000001",
}
OF_ITS_IMAGE = {"hw_disk_bus": "scsi", "os_distro": "debian", "os_type": "linux"}


def test_nothing_of_its_server_goes_over_with_a_snapshot() -> None:
    snapshot = old(properties={**OF_A_SNAPSHOT, **OF_ITS_IMAGE})
    assert spec(snapshot)["image"]["properties"] == OF_ITS_IMAGE
    text = text_of(snapshot)
    assert "It is a snapshot of a server." in text
    assert ", ".join(OF_A_SNAPSHOT) in text
    assert "rF2mXy" not in text
    assert "It is a snapshot of a server." not in text_of(old())


def test_an_image_may_have_a_type_of_its_own() -> None:
    assert spec(old(properties={"image_type": "golden"}))["image"]["properties"] == {
        "image_type": "golden"
    }


def test_a_name_of_the_old_cloud_cannot_end_a_comment() -> None:
    for end in ("\n", "\r", "\x85", "\u2028"):
        name = f"x{end}---{end}kind: Secret{end}"
        text = migrate.render([f"Copies image {name}."], [{"kind": "CloudImage"}])
        assert list(yaml.safe_load_all(text)) == [{"kind": "CloudImage"}]
        assert text.count("\n") == 2
