"""``cloudimage migrate``: what it printed of another project becomes the same images here."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from openstack.connection import Connection

from cloudimage.cli.app import app
from support.namespaces import Namespace, content_of, image_of
from support.openstack_actions import make_image
from testbed.images import sha256_of
from testbed.openstack import OpenStack

pytestmark = [pytest.mark.cluster, pytest.mark.cloud]

SAME = ("name", "disk_format", "container_format", "min_disk", "min_ram", "os_hash_value", "size")
OWN = ("os_distro", "hw_disk_bus", "our_own")
WITH_EVERYTHING: dict[str, Any] = {
    "min_disk": 1,
    "min_ram": 64,
    "tags": ["old", "good"],
    "os_distro": "debian",
    "hw_disk_bus": "scsi",
    "our_own": "ünïcode: 'quoted'",
}


@pytest.fixture
def consumer(openstack: OpenStack, monkeypatch: pytest.MonkeyPatch) -> Connection:
    """The old cloud: what the commands find as consumer in clouds.yaml."""
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(openstack.clouds_yaml))
    return openstack.connect("consumer")


class Old:
    """Images of the old project, all with a tag that no other test has."""

    def __init__(self, connection: Connection, tag: str) -> None:
        self._connection = connection
        self._tag = tag
        self.ids: list[str] = []

    def put(self, name: str, content: bytes | None, **attributes: Any) -> str:
        """Make an image as somebody did years ago, and return its id."""
        tags = [self._tag, *attributes.pop("tags", ())]
        wanted = {"visibility": "private", **attributes}
        image = make_image(self._connection, content, tags=tags, **wanted)
        self.ids.append(image.id)
        self._connection.image.update_image(image.id, name=name)
        return str(image.id)


@pytest.fixture
def old(openstack: OpenStack, consumer: Connection, unique: str) -> Iterator[Old]:
    """Images of the old project, which go in the end."""
    made = Old(consumer, unique)
    yield made
    for each in made.ids:
        openstack.connect("admin").image.delete_image(each, ignore_missing=True)


def migrate(*options: str) -> Result:
    """Run the command for the cloud images and the Secrets that the tests put there."""
    into = ("--secret", "openstack", "--cloud", "images", "--from-secret", "openstack")
    return CliRunner().invoke(app, ["migrate", "--from-cloud", "consumer", *into, *options])


def test_images_are_found_by_id_and_by_a_name_of_only_one(old: Old, unique: str) -> None:
    assert "has no image with the id or the name" in migrate("--image", unique).output
    first = old.put(unique, b"first")
    [made] = yaml.safe_load_all(migrate("--image", unique).stdout)
    assert made["metadata"] == {"name": unique}
    assert made["spec"]["source"]["glance"]["id"] == first
    second = old.put(unique, b"second")
    assert f"id: {second}" in migrate("--image", second, "--name", "x").stdout
    done = migrate("--image", unique)
    assert done.exit_code == 1
    assert done.output.startswith(f"Several images are named {unique}; give the id of one of them")
    assert first in done.output
    assert second in done.output


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ((), "either --image or --all"),
        (("--image", "x", "--all"), "either --image or --all"),
        (("--all", "--name", "x"), "--name is for one image"),
        (("--image", "x", "--tag", "a", "--dry-run"), "--tag, --dry-run can only"),
        (("--all", "--visibility", "secret"), "'secret' is not one of"),
    ],
)
def test_options_that_make_no_sense_together(options: tuple[str, ...], complaint: str) -> None:
    done = migrate(*options)
    assert done.exit_code == 2
    assert complaint in done.output


def test_a_whole_project_becomes_ready_by_what_was_written(
    namespace: Namespace,
    openstack: OpenStack,
    consumer: Connection,
    old: Old,
    raw_disk: Path,
    qcow2_disk: Path,
    unique: str,
    tmp_path: Path,
) -> None:
    images = openstack.connect("images")
    kernel = old.put(f"{unique}-vmlinuz", b"kernel" * 99, disk_format="aki", container_format="aki")
    wanted = {
        f"{unique}-raw": old.put(f"{unique} Raw", raw_disk.read_bytes(), **WITH_EVERYTHING),
        f"{unique}-vmlinuz": kernel,
        f"{unique}-ami": old.put(
            f"{unique}-ami",
            b"file system" * 99,
            disk_format="ami",
            container_format="ami",
            kernel_id=kernel,
        ),
        f"{unique}-qcow2": old.put(
            f"{unique}-qcow2", qcow2_disk.read_bytes(), disk_format="qcow2", visibility="shared"
        ),
    }
    member = openstack.connect("images").session.get_project_id()
    glance: dict[str, Any] = {
        "consumer": consumer.image,
        "admin": openstack.connect("admin").image,
    }
    glance["consumer"].add_member(wanted[f"{unique}-qcow2"], member_id=member)
    skipped = {
        old.put(f"{unique}-queued", None): "its status is queued",
        old.put(f"{unique}-empty", b""): "no bytes of its own",
        old.put(f"{unique}-ova", b"x", container_format="ova"): "an archive",
        old.put(f"{unique}-snap", b"x", image_type="snapshot"): "--snapshots takes it",
    }
    deactivated = old.put(f"{unique}-off", b"x")
    glance["admin"].deactivate_image(deactivated)
    skipped[deactivated] = "deactivated"
    theirs = make_image(images, b"x", visibility="community", tags=[unique])
    skipped[theirs.id] = "belongs to project"
    old.ids.append(theirs.id)

    meant = ("--all", "--tag", unique, "--members", "-n", namespace.name)
    rows = {each.split()[0]: each for each in migrate(*meant, "--dry-run").stdout.splitlines()}
    assert rows.keys() == {"IMAGE", *wanted.values(), *skipped}
    renamed = rows[wanted[f"{unique}-raw"]]
    assert renamed.endswith("renamed: its own is not one of Kubernetes")
    assert f" {unique}-raw " in renamed
    assert f"{unique}-qcow2 and its ImageShare" in rows[wanted[f"{unique}-qcow2"]]
    assert all(why in rows[each] for each, why in skipped.items())

    done = migrate(*meant, "--to", str(tmp_path / "git"))
    assert done.exit_code == 0, done.output
    assert "Images written: 4; skipped: 6." in done.stderr
    files = {each.stem: each.read_text() for each in (tmp_path / "git").iterdir()}
    assert files.keys() == wanted.keys()
    assert migrate(*meant).stdout == "---\n".join(files[each] for each in sorted(files))
    assert migrate(*meant, "--to", str(tmp_path / "git")).exit_code == 0
    assert {each.stem: each.read_text() for each in (tmp_path / "git").iterdir()} == files
    secrets = json.dumps(openstack.cloud("consumer")["auth"]["application_credential_secret"])
    assert secrets.strip('"') not in "".join(files.values())
    assert "oken" not in "".join(files.values())

    namespace.cluster.run_kubectl("apply", "-f", str(tmp_path / "git"))
    for name, old_id in wanted.items():
        ready = namespace.wait_condition(name, "Ready")
        before = consumer.image.get(f"/images/{old_id}").json()
        after = image_of(images, ready)
        own = [each for each in OWN if each in before]
        assert {key: after[key] for key in (*SAME, *own)} == {
            key: before[key] for key in (*SAME, *own)
        }
        assert sorted(after["tags"]) == sorted(before["tags"])
        assert after["owner"] != before["owner"]
    disk = namespace.get(f"{unique}-qcow2")
    assert disk is not None
    assert content_of(images, disk.status.image_id or "") == sha256_of(qcow2_disk)
    kernel_here = namespace.get(f"{unique}-vmlinuz")
    file_system = namespace.get(f"{unique}-ami")
    assert kernel_here is not None
    assert file_system is not None
    assert image_of(images, file_system)["kernel_id"] == kernel_here.status.image_id
    namespace.cluster.run_kubectl("delete", "--wait=false", "-f", str(tmp_path / "git"))
    for name in wanted:
        namespace.wait_gone(name)
