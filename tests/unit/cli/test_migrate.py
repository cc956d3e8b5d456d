"""The manifests that copy an image from another cloud."""

from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from cloudimage.api.cloudimage import CloudImageSpec
from cloudimage.cli import migrate
from cloudimage.cli.errors import CommandError
from cloudimage.cloud.models import GlanceImage
from support.resources import cloud_image, glance_image

URL = "https://glance.old.example.org:9292"
WANTED = migrate.Wanted("debian", None, "openstack", "new", "debian-source")
EXPIRES = datetime(2026, 1, 2, 4, 4, tzinfo=UTC)
TOKEN = "gAAAAA-of-the-old-cloud"


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
    asked = migrate.Wanted("debian", None, "openstack", "new", "debian-source", **wanted)
    return migrate.cloud_image(image, asked, URL, has_ca=False)["spec"]


def test_everything_of_the_image_goes_over() -> None:
    image = old()
    made = spec(image)
    assert made == {
        "cloudCredentialsRef": {"secretName": "openstack", "cloudName": "new"},
        "source": {
            "http": {
                "url": f"{URL}/v2/images/{image.id}/file",
                "checksum": {"sha512": "cd" * 64},
                "format": "raw",
                "auth": {"secretName": "debian-source"},
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
            # Neither Glance's own, nor the marks of the CloudImage that it was made by.
            "properties": {"kernel_id": "k-1", "os_distro": "debian"},
        },
    }
    CloudImageSpec.model_validate(made)


def test_owner_and_visibility_only_when_asked() -> None:
    made = spec(old(), visibility=True, owner=True)["image"]
    assert (made["visibility"], made["owner"]) == ("public", "p-old")


def test_what_an_image_does_not_have_is_left_out() -> None:
    bare = old(
        name="debian", min_disk=0, min_ram=0, protected=False, hidden=False, tags=frozenset()
    )
    assert set(spec(bare)["image"]) == {"diskFormat", "containerFormat", "properties"}


@pytest.mark.parametrize(
    ("hashes", "checksum"),
    [
        ({"hash_algo": "sha256", "hash_value": "ab" * 32}, {"sha256": "ab" * 32}),
        ({"hash_algo": "sha3_512", "hash_value": "ab"}, {"md5": "ef" * 16}),
        ({"hash_algo": None, "hash_value": None, "checksum": None}, None),
    ],
)
def test_checksum(hashes: dict[str, Any], checksum: dict[str, str] | None) -> None:
    assert spec(old(**hashes))["source"]["http"].get("checksum") == checksum


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"status": "queued", "size": None}, "no bytes to copy"),
        ({"size": 0}, "no bytes to copy"),
        ({"disk_format": "ploop2"}, "Disk format ploop2"),
        ({"container_format": "ova"}, "Container format ova"),
    ],
)
def test_what_cannot_be_copied(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(CommandError, match=words):
        migrate.check(old(**changes))


def text_of(image: GlanceImage, *, with_secret: bool = True) -> str:
    head = migrate.comments(image, WANTED, URL, EXPIRES, with_secret=with_secret)
    documents = [migrate.cloud_image(image, WANTED, URL, has_ca=True)]
    if with_secret:
        documents.append(migrate.secret(WANTED, TOKEN, "-----BEGIN CERTIFICATE-----\n"))
    return migrate.render(head, documents)


def test_what_is_printed_can_be_applied() -> None:
    image, secret = yaml.safe_load_all(text_of(old()))
    assert secret["stringData"] == {
        "header.X-Auth-Token": TOKEN,
        "ca.crt": "-----BEGIN CERTIFICATE-----\n",
    }
    named = {"name": secret["metadata"]["name"], "key": "ca.crt"}
    assert image["spec"]["source"]["http"]["caCertificate"] == {"secret": named}


def test_the_comments_say_what_to_heed() -> None:
    text = text_of(old())
    assert "a token that expires at 2026-01-02 04:04 UTC" in text
    assert "check them: kernel_id." in text
    assert "urlPolicy.allowNetworks" in text
    assert TOKEN not in text_of(old(), with_secret=False)
    bare = text_of(old(hash_algo=None, hash_value=None, checksum=None, properties={}))
    assert "its bytes are not verified" in bare
    assert "check them" not in bare


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
    assert "It is a snapshot." in text
    assert ", ".join(OF_A_SNAPSHOT) in text
    assert "rF2mXy" not in text
    assert "It is a snapshot." not in text_of(old())


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
