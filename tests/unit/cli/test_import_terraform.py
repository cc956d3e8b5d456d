"""What ``cloudimage import`` makes of what ``terraform show -json`` prints."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from cloudimage import templates
from cloudimage.cli.app import app

ID = "8f6f3c1e-7d2a-4b5c-9e0f-1a2b3c4d5e6f"
OTHER = "0b1c2d3e-4f5a-4697-8879-6a5b4c3d2e1f"
PROJECT = "875f7888e167422e88fa78e0c2160344"
MD5 = "d41d8cd98f00b204e9800998ecf8427e"
URL = "https://images.example.org/debian-12/build-42/debian-12.qcow2"
VALUES: dict[str, Any] = {
    "checksum": MD5,
    "container_format": "bare",
    "created_at": "2026-01-01T00:00:00Z",
    "decompress": False,
    "disk_format": "qcow2",
    "file": f"/v2/images/{ID}/file",
    "hidden": False,
    "id": ID,
    "image_cache_path": "/var/cache/terraform",
    "image_id": None,
    "image_source_password": None,
    "image_source_url": URL,
    "image_source_username": None,
    "local_file_path": None,
    "metadata": {},
    "min_disk_gb": 3,
    "min_ram_mb": 512,
    "name": "Debian 12",
    "owner": PROJECT,
    "properties": {
        "direct_url": "swift+config://secret/x",
        "hw_disk_bus": "scsi",
        "os_glance_failed_import": "",
        "os_hash_algo": "sha512",
    },
    "protected": True,
    "region": "RegionOne",
    "schema": "/v2/schemas/image",
    "size_bytes": 1234,
    "status": "active",
    "tags": ["golden"],
    "timeouts": None,
    "updated_at": "2026-01-01T00:00:00Z",
    "verify_checksum": True,
    "visibility": "public",
    "web_download": False,
}


def resource(label: str = "debian", kind: str = "image_v2", **changes: Any) -> dict[str, Any]:
    """Return a resource as Terraform 1.x prints it."""
    sensitive = changes.pop("sensitive", {"metadata": {}, "properties": {}, "tags": [False]})
    top = {each: changes.pop(each) for each in ("mode", "deposed_key") if each in changes}
    values = {**VALUES, **changes} if kind == "image_v2" else changes
    return {
        "address": f"openstack_images_{kind}.{label}",
        "mode": "managed",
        "type": f"openstack_images_{kind}",
        "name": label,
        "provider_name": "registry.terraform.io/terraform-provider-openstack/openstack",
        "schema_version": 0,
        "values": values,
        "sensitive_values": sensitive,
        **top,
    }


def state(*resources: dict[str, Any], key: str = "values", **more: Any) -> str:
    """Return a state; the resources are in a module of a module."""
    inner = {"address": "module.a.module.b", "resources": list(resources)}
    root = {"child_modules": [{"address": "module.a", "child_modules": [inner]}]}
    document = {"format_version": "1.0", "terraform_version": "1.9.5", key: {"root_module": root}}
    return json.dumps(document | more)


def run(text: str, *options: str) -> Result:
    words = ["import", "-", "--secret", "openstack", "--cloud", "images", *options]
    return CliRunner().invoke(app, words, input=text)


def made(text: str, *options: str) -> list[dict[str, Any]]:
    done = run(text, *options)
    assert done.exit_code == 0, done.output
    return list(yaml.safe_load_all(done.stdout))


def test_an_image_of_the_state_is_adopted() -> None:
    [found] = made(state(resource()))
    assert found["metadata"] == {"name": "debian-12"}
    assert found["spec"] == {
        "cloudCredentialsRef": {"secretName": "openstack", "cloudName": "images"},
        "adopt": {"id": ID},
        "source": {"http": {"url": URL, "checksum": {"md5": MD5}}},
        "image": {
            "name": "Debian 12",
            "diskFormat": "qcow2",
            "containerFormat": "bare",
            "visibility": "public",
            "minDiskGiB": 3,
            "minRamMiB": 512,
            "protected": True,
            "tags": ["golden"],
            "properties": {"hw_disk_bus": "scsi"},
        },
        "deletionPolicy": "Orphan",
    }
    text = run(state(resource())).stdout
    assert "terraform state rm openstack_images_image_v2.debian," in text
    assert "swift+config" not in text


def test_dollars_are_no_variables_of_the_new_object() -> None:
    text = "A $$ B $(x)"
    [found] = made(state(resource(name=text, tags=[text], properties={"note": text})))
    image = found["spec"]["image"]
    for template in (image["name"], *image["tags"], image["properties"]["note"]):
        assert templates.fill(template, {}) == text


def test_an_address_is_a_word_for_the_shell() -> None:
    text = run(state(resource('debian["a b"]'))).stdout
    assert """terraform state rm 'openstack_images_image_v2.debian["a b"]', and delete""" in text


@pytest.mark.parametrize("changes", [{"decompress": True}, {"web_download": True}])
def test_the_hash_of_other_bytes_is_no_checksum_of_the_source(changes: dict[str, Any]) -> None:
    assert made(state(resource(**changes)))[0]["spec"]["source"] == {"http": {"url": URL}}


SECRET = "hunter2"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"image_source_username": "u", "image_source_password": SECRET},
            "Secret debian-12-source",
        ),
        ({"image_source_url": f"https://u:{SECRET}@example.org/x"}, "Secret debian-12-source"),
        ({"image_source_url": f"https://example.org/x?sig={SECRET}"}, "image_source_url"),
        ({"image_source_url": f"https://[{SECRET}"}, "image_source_url"),
        (
            {"image_source_url": f"{URL}/{SECRET}", "sensitive": {"image_source_url": True}},
            "image_source_url",
        ),
        ({"properties": {"a": SECRET}, "sensitive": {"properties": {"a": True}}}, "Left out: a:"),
        ({"properties": {"a": SECRET}, "sensitive": {"properties": True}}, "Left out: properties"),
        ({"tags": [SECRET], "sensitive": {"tags": [True]}}, "Left out: a tag"),
        ({"properties": {"a": f"https://u:{SECRET}@h/"}}, "Left out: a: this property is a URL"),
    ],
)
def test_secrets_of_a_state_are_printed_nowhere(changes: dict[str, Any], said: str) -> None:
    done = run(state(resource(**changes)))
    assert done.exit_code == 0, done.output
    assert SECRET not in done.output
    assert said in done.stdout
    assert yaml.safe_load(done.stdout)["spec"]["adopt"] == {"id": ID}


def test_a_local_file_is_named_and_the_image_adopted() -> None:
    done = run(state(resource(image_source_url=None, local_file_path="/srv/debian.qcow2")))
    assert "source" not in yaml.safe_load(done.stdout)["spec"]
    assert "kubectl cloudimage upload FILE" in done.stdout
    assert "a lost image cannot be made again" in done.stdout


def test_a_package_is_adopted_without_its_source() -> None:
    [found] = made(state(resource(container_format="ova", disk_format="vmdk")))
    assert "source" not in found["spec"]


def test_an_image_of_a_plan_that_is_not_there_yet_is_made() -> None:
    planned = {"id": None, "checksum": None, "status": None}
    [found] = made(state(resource(**planned), key="planned_values"))
    assert "adopt" not in found["spec"]
    assert found["spec"]["source"] == {"http": {"url": URL}}
    local = resource(**planned, image_source_url=None, local_file_path="/srv/x.raw")
    assert made(state(local, key="planned_values"))[0]["spec"]["source"] == {"upload": {}}


def test_what_a_plan_replaces_or_deletes_is_not_adopted() -> None:
    replaced = {
        "address": "openstack_images_image_v2.debian",
        "change": {"actions": ["delete", "create"]},
    }
    gone = {"address": "module.x.openstack_images_image_v2.old", "change": {"actions": ["delete"]}}
    text = state(resource(), key="planned_values", resource_changes=[replaced, gone])
    done = run(text)
    assert "adopt" not in yaml.safe_load(done.stdout)["spec"]
    assert "Left out Terraform's module.x.openstack_images_image_v2.old: the plan deletes it" in (
        done.stderr
    )


def test_shares() -> None:
    def access(name: str, image: str | None, project: str) -> dict[str, Any]:
        return resource(name, "image_access_v2", image_id=image, member_id=project)

    text = state(
        access("a", ID, PROJECT),
        access("b", ID, "1" * 32),
        access("c", OTHER, PROJECT),
        access("d", None, PROJECT),
        resource("e", "image_access_accept_v2", image_id=ID, member_id=PROJECT),
        resource(visibility="shared"),
    )
    done = run(text)
    assert done.exit_code == 1
    assert "CloudImages written: 1, ImageShares: 2; left out: 2" in done.stderr
    assert "is not known before it is applied" in done.stderr
    _, *shares = yaml.safe_load_all(done.stdout)
    assert shares[0]["spec"] == {
        "imageRef": {"name": "debian-12"},
        "projects": [{"id": "1" * 32}, {"id": PROJECT}],
        "deletionPolicy": "Orphan",
    }
    assert shares[1]["spec"]["image"]["id"] == OTHER


def test_a_folder_has_a_file_for_each_object(tmp_path: Path) -> None:
    share = resource("s", "image_access_v2", image_id=ID, member_id=PROJECT)
    text = state(resource(), share, resource("b", name="debian-12-share", id=OTHER))
    assert run(text, "-o", str(tmp_path)).exit_code == 0
    kinds = {each.name: yaml.safe_load(each.read_text())["kind"] for each in tmp_path.iterdir()}
    assert kinds == {
        "debian-12.yaml": "CloudImage",
        "debian-12_share.yaml": "ImageShare",
        "debian-12-share.yaml": "CloudImage",
    }


def test_a_share_names_its_image_as_that_is_written() -> None:
    twins = [resource("a"), resource("b", id=OTHER, checksum="0" * 32)]
    share = resource("s", "image_access_v2", image_id=OTHER, member_id=PROJECT)
    first, second, shared = made(state(*twins, share))
    assert first["metadata"]["name"] == "debian-12"
    assert second["metadata"]["name"] != "debian-12"
    assert shared["spec"]["imageRef"] == second["metadata"]


@pytest.mark.parametrize(
    ("changes", "code", "why"),
    [
        ({"status": "deactivated"}, 1, "its image is deactivated in Glance"),
        ({"deposed_key": "abcd1234"}, 0, "an earlier image that Terraform is about to delete"),
        ({"sensitive": {"name": True}}, 1, "its name is secret in Terraform's state"),
        ({"name": "a\ud800b"}, 1, "spec.image.name: Input should be a valid string"),
        ({"properties": {"a": "x\ud800"}}, 1, "spec.image.properties.a: Input should be a valid"),
        ({"disk_format": "floppy"}, 1, "spec.image.diskFormat: Input should be"),
        ({"id": None, "image_source_url": None}, 1, "no source that can be written here"),
    ],
)
def test_what_cannot_be_taken_is_named(changes: dict[str, Any], code: int, why: str) -> None:
    done = run(state(resource(**changes)))
    assert done.exit_code == code
    assert done.stdout == ""
    assert why in done.stderr


def test_one_region_at_a_time() -> None:
    text = state(resource(), resource("far", region="RegionTwo", name="Far", id=OTHER))
    done = run(text)
    assert done.exit_code == 1
    assert "regions RegionOne, RegionTwo" in done.stderr
    assert [each["metadata"]["name"] for each in made(text, "--region", "RegionTwo")] == ["far"]
    assert "no image in the region Mars" in run(text, "--region", "Mars").stderr


@pytest.mark.parametrize(
    "document",
    [
        state(),
        state(resource(mode="data")),
        '{"format_version": "1.0"}',  # of a state without anything
        '{"format_version": "1.0", "values": 1}',
        '{"format_version": "1.0", "values": {"root_module": [1]}}',
        '{"format_version": "1.0", "values": {"root_module": {"resources": [1, {}]}}}',
    ],
)
def test_a_state_without_images(document: str) -> None:
    done = run(document)
    assert done.exit_code == 1
    assert done.stderr == (
        "Terraform has no openstack_images_image_v2 there: is it the right workspace?\n"
    )
