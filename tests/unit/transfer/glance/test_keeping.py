"""How an image that is there already becomes the wanted one."""

from typing import Any

import pytest

from cloudimage.transfer.contract import NewImage
from cloudimage.transfer.glance.keeping import changes, obstacle
from cloudimage.vocabulary.marks import Marks

SHOWN: dict[str, Any] = {
    "id": "i",
    "name": "cloudimage-snapshot-x",
    "status": "active",
    "visibility": "private",
    "os_hidden": False,
    "disk_format": "raw",
    "container_format": "bare",
    "size": 5,
    "virtual_size": 5,
    "min_disk": 1,
    "min_ram": 0,
    "tags": [],
    "self": "/v2/images/i",
    "direct_url": "rbd://x",
    "stores": "fast",
    "os_glance_importing_to_stores": "",
    "os_distro": "ubuntu",
    "instance_uuid": "s",
    "base_image_ref": "b",
    "boot_roles": "member",
    "owner_specified.openstack.sha256": "0",
    "a/b~c": "x",
    # Of the image that the server was made of.
    Marks.IMAGE_ID: "b",
    Marks.VERIFIED: "sha512:old",
}


def wanted(**changes: Any) -> NewImage:
    given = {"id_seed": "seed", "name": "debian", "properties": {"os_distro": "debian"}}
    return NewImage.model_validate(given | changes)


def applied(image: NewImage) -> dict[str, Any]:
    """Return what Glance would make of the patch."""
    result = dict(SHOWN)
    for each in changes(SHOWN, image, "sha512:new"):
        name = each["path"].removeprefix("/").replace("~1", "/").replace("~0", "~")
        if each["op"] == "remove":
            del result[name]
        else:
            result[name] = each["value"]
    return result


def test_it_is_ours_and_verified_and_nothing_of_the_server_stays() -> None:
    result = applied(wanted())
    own = {name: value for name, value in SHOWN.items() if name in result}
    assert result == own | {
        "name": "debian",
        "os_hidden": True,
        "os_distro": "debian",
        Marks.IMAGE_ID: "i",
        Marks.VERIFIED: "sha512:new",
    }
    assert SHOWN.keys() - result.keys() == {
        *("instance_uuid", "base_image_ref", "boot_roles", "owner_specified.openstack.sha256"),
        "a/b~c",
    }


def test_the_sizes_of_the_spec_count_and_else_those_of_the_disk() -> None:
    assert (applied(wanted())["min_disk"], applied(wanted())["tags"]) == (1, [])
    result = applied(wanted(min_disk=3, min_ram=64, tags=["a"]))
    assert (result["min_disk"], result["min_ram"], result["tags"]) == (3, 64, ["a"])


@pytest.mark.parametrize(
    ("shown", "image", "kept"),
    [
        ({}, {}, True),
        ({}, {"disk_format": "raw"}, True),
        ({}, {"disk_format": "qcow2"}, False),
        ({"disk_format": "qcow2"}, {}, True),
        ({"disk_format": "qcow2", "virtual_size": None}, {}, False),
        ({"virtual_size": None}, {}, True),
        ({"container_format": "docker"}, {}, False),
        ({"container_format": None}, {}, False),
    ],
)
def test_what_has_to_be_converted_is_copied(
    shown: dict[str, Any], image: dict[str, Any], *, kept: bool
) -> None:
    assert (obstacle(SHOWN | shown, wanted(**image)) is None) is kept
