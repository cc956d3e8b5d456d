"""``cloudimage migrate``: an image of another project's Glance is copied by what it printed."""

import secrets
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from openstack.connection import Connection

from cloudimage.cli.app import app
from support.namespaces import Namespace, change_image, content_of, image_of
from testbed.images import sha256_of
from testbed.openstack import OpenStack

pytestmark = [pytest.mark.cluster, pytest.mark.cloud]


@pytest.fixture
def consumer(openstack: OpenStack, monkeypatch: pytest.MonkeyPatch) -> Connection:
    """The old cloud: what the commands find as consumer in clouds.yaml."""
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(openstack.clouds_yaml))
    return openstack.connect("consumer")


def upload(connection: Connection, name: str, content: bytes) -> str:
    """Make an image with every attribute set, as somebody did years ago."""
    body = {
        "name": name,
        "disk_format": "raw",
        "container_format": "bare",
        "min_disk": 1,
        "min_ram": 64,
        "tags": ["old", "good"],
        "os_distro": "debian",
        "hw_disk_bus": "scsi",
        "our_own": "ünïcode: 'quoted'",
    }
    made = connection.image.post("/images", json=body)
    assert made.status_code == 201, made.text
    image_id = str(made.json()["id"])
    put = connection.image.put(
        f"/images/{image_id}/file",
        data=content,
        headers={"Content-Type": "application/octet-stream"},
    )
    assert put.status_code == 204, put.text
    return image_id


def migrate(image: str, name: str, *options: str) -> Result:
    """Run the command for the cloud images and the Secret that the tests put there."""
    into = ("--secret", "openstack", "--cloud", "images", "--name", name)
    return CliRunner().invoke(
        app, ["migrate", "--from-cloud", "consumer", "--image", image, *into, *options]
    )


def test_images_are_found_by_id_and_by_a_name_of_only_one(
    openstack: OpenStack, consumer: Connection, unique: str
) -> None:
    assert "has no image with the id or the name" in migrate(unique, unique).output
    first = upload(consumer, unique, b"first")
    assert f"/v2/images/{first}/file" in migrate(unique, unique).output
    second = upload(consumer, unique, b"second")
    assert f"/v2/images/{second}/file" in migrate(second, unique).output
    done = migrate(unique, unique)
    assert done.exit_code == 1
    assert done.output.startswith(f"Several images are named {unique}; give the id of one of them")
    assert first in done.output
    assert second in done.output
    for each in (first, second):
        consumer.image.delete(f"/images/{each}")


@pytest.mark.slow
def test_what_migrate_printed_becomes_the_same_image(
    namespace: Namespace, openstack: OpenStack, consumer: Connection, unique: str, tmp_path: Path
) -> None:
    # Of no known format and without a partition table: only the old cloud knows that it is raw.
    file = tmp_path / "disk"
    file.write_bytes(secrets.token_bytes(8 << 20))
    old_id = upload(consumer, unique, file.read_bytes())
    done = migrate(unique, unique, "-n", namespace.name)
    assert done.exit_code == 0, done.output
    namespace.cluster.run_kubectl("apply", "-f", "-", stdin=done.output)
    ready = namespace.wait_condition(unique, "Ready")
    images = openstack.connect("images")
    assert content_of(images, ready.status.image_id or "") == sha256_of(file)
    old, new = consumer.image.get(f"/images/{old_id}").json(), image_of(images, ready)
    same = ("name", "disk_format", "container_format", "min_disk", "min_ram", "os_hash_value")
    own = ("os_distro", "hw_disk_bus", "our_own")
    assert {key: new[key] for key in same + own} == {key: old[key] for key in same + own}
    assert sorted(new["tags"]) == sorted(old["tags"])
    assert new["owner"] != old["owner"]

    # Then neither the Secret nor the old cloud is needed, as the comments say.
    namespace.patch(unique, {"spec": {"source": {"http": {"auth": None}}}})
    secret, _ = yaml.safe_load_all(done.output)
    namespace.core.delete_namespaced_secret(secret["metadata"]["name"], namespace.name)
    change_image(images, ready, os_distro="changed")
    namespace.patch(unique, {"metadata": {"annotations": {"cloudimage.dev/retry": "one"}}})
    still = namespace.wait(unique, lambda each: each.status.last_handled_retry == "one")
    namespace.wait(unique, lambda each: image_of(images, each)["os_distro"] == "debian")
    assert still.status.image_id == ready.status.image_id
    namespace.delete(unique)
    consumer.image.delete(f"/images/{old_id}")
