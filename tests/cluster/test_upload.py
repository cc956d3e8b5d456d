"""``cloudimage upload`` and ``save`` for CloudImages: a real operator, and users as they are."""

import hashlib
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.fault_proxy import Fault, FaultProxy
from support.namespaces import (
    SECRET,
    Namespace,
    content_of,
    image_of,
    images_of,
    said,
    wait_until,
)
from support.viewer import viewer
from testbed.images import disk
from testbed.openstack import OpenStack
from testbed.paths import REPOSITORY

pytestmark = [pytest.mark.cluster, pytest.mark.cloud]

SAMPLES = REPOSITORY / "manifests" / "samples"

Done = subprocess.CompletedProcess[str]


class User:
    """Somebody with the program on a machine of their own."""

    def __init__(self, namespace: Namespace, home: Path, clouds: Path | None = None) -> None:
        self.namespace = namespace
        self.environment = {
            **os.environ,
            "KUBECONFIG": str(namespace.cluster.kubeconfig),
            "XDG_CACHE_HOME": str(home),
            "COLUMNS": "500",
            **({"OS_CLIENT_CONFIG_FILE": str(clouds)} if clouds else {}),
        }

    def start(self, *words: str | Path) -> subprocess.Popen[str]:
        """Start the program with a command."""
        return subprocess.Popen(
            [sys.executable, "-m", "cloudimage", *map(str, words), "-n", self.namespace.name],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str | Path, status: int = 0) -> Done:
        """Run a command to its end."""
        with self.start(*words) as process:
            out, err = process.communicate(timeout=120)
        assert process.returncode == status, err
        assert "Traceback" not in err
        return subprocess.CompletedProcess((), status, out, err)


@pytest.fixture
def user(namespace: Namespace, tmp_path: Path) -> User:
    """One who may do everything."""
    return User(namespace, tmp_path / "home")


@pytest.fixture
def proxied(
    namespace: Namespace, openstack: OpenStack, tmp_path: Path
) -> Callable[[FaultProxy], User]:
    """Return one whose own clouds.yaml leads to a proxy before Glance."""

    def made(proxy: FaultProxy) -> User:
        cloud = openstack.cloud("images") | {"image_endpoint_override": proxy.url}
        path = tmp_path / "clouds.yaml"
        path.write_text(json.dumps({"clouds": {"images": cloud}}))
        return User(namespace, tmp_path / "home", path)

    return made


def before_glance(openstack: OpenStack, *faults: Fault) -> FaultProxy:
    session: Any = openstack.connect("images").session
    return FaultProxy(session.get_endpoint(service_type="image"), *faults)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def awaiting(namespace: Namespace, name: str, **source: str) -> str:
    """Create a CloudImage that waits for an upload; return its UID."""
    namespace.create(name, "", source={"upload": source}, image={"diskFormat": "raw"})
    waits = namespace.wait_condition(name, "Ready", "False", "AwaitingUpload")
    return waits.metadata.uid


def test_the_sample_waits_for_its_file_and_then_for_another(
    namespace: Namespace,
    openstack: OpenStack,
    user: User,
    raw_disk: Path,
    qcow2_disk: Path,
    tmp_path: Path,
    unique: str,
) -> None:
    cloud = openstack.connect("images")
    sample = yaml.safe_load((SAMPLES / "cloudimage-upload.yaml").read_text())
    sample["metadata"]["name"] = unique
    sample["spec"]["source"]["upload"]["sha256"] = sha256(qcow2_disk).upper()
    apply = ("apply", "-n", namespace.name, "-f", "-")
    namespace.cluster.run_kubectl(*apply, stdin=yaml.safe_dump(sample))
    waits = namespace.wait_condition(unique, "Ready", "False", "AwaitingUpload")
    message = said(waits, "Ready")[2]
    assert sha256(qcow2_disk) in message

    done = user.run("upload", raw_disk, "--name", unique, status=1)
    assert "is not the file that CloudImage" in done.stderr
    assert images_of(cloud, waits.metadata.uid) == []

    words = shlex.split(message.partition("kubectl cloudimage ")[2])
    done = user.run(*[str(qcow2_disk) if each == "FILE" else each for each in words[:-2]])
    ready = namespace.wait_condition(unique, "Ready")
    assert done.stdout == f"{ready.status.image_id}\n"
    assert content_of(cloud, done.stdout.strip()) == sha256(raw_disk)
    assert said(ready, "Verified")[:2] == ("True", "ChecksumMatched")
    assert ready.status.source is not None
    assert ready.status.source.checksums == {"sha256": sha256(qcow2_disk)}
    assert ready.status.upload is None

    other = disk(tmp_path / "other", "raw", virtual_size=32 << 20, data_bytes=4 << 20)
    again = user.run("upload", other, "--name", unique, "--replace").stdout.strip()
    new = namespace.wait(unique, lambda each: each.status.image_id == again)
    assert content_of(cloud, again) == sha256(other)
    assert [each.image_id for each in new.status.revisions] == [again, done.stdout.strip()]
    assert image_of(cloud, new)["name"] == "Golden image"


@pytest.mark.slow
def test_it_is_created_and_any_first_file_is_taken_but_no_second(
    namespace: Namespace,
    openstack: OpenStack,
    user: User,
    raw_disk: Path,
    tmp_path: Path,
    unique: str,
) -> None:
    done = user.run("upload", raw_disk, "--name", unique, status=1)
    assert "To have it created, give --secret and --cloud" in done.stderr
    assert namespace.get(unique) is None
    create = ("upload", raw_disk, "--name", unique, "--secret", SECRET, "--cloud", "images")
    first = user.run(*create).stdout
    made = namespace.wait_condition(unique, "Ready")
    assert made.spec.source is not None
    assert made.spec.source.to_json() == {"upload": {"sha256": sha256(raw_disk)}}

    assert user.run(*create).stdout == first, "it is there"

    name = f"{unique}-any"
    awaiting(namespace, name)
    user.run("upload", raw_disk, "--name", name)
    ready = namespace.wait_condition(name, "Ready")
    assert said(ready, "Verified")[:2] == ("Unknown", "NoChecksum")
    other = disk(tmp_path / "other", "raw", virtual_size=32 << 20, data_bytes=4 << 20)
    done = user.run("upload", other, "--name", name, status=1)
    assert "has its image already" in done.stderr
    # What is lost is made again of the same file alone.
    openstack.connect("images").image.delete_image(str(ready.status.image_id))
    namespace.patch(name, {"metadata": {"annotations": {"cloudimage.dev/retry": "1"}}})
    namespace.wait_condition(name, "Ready", "False", "AwaitingUpload")
    assert "SourceChanged" in user.run("upload", other, "--name", name, status=1).stderr
    user.run("upload", raw_disk, "--name", name)
    namespace.wait_condition(name, "Ready")


@pytest.mark.slow
def test_who_may_only_look_uploads_with_their_own_credentials(
    namespace: Namespace, openstack: OpenStack, raw_disk: Path, tmp_path: Path, unique: str
) -> None:
    awaiting(namespace, unique, sha256=sha256(raw_disk))
    user = User(namespace, tmp_path / "home", openstack.clouds_yaml)
    user.environment["KUBECONFIG"] = str(viewer(namespace, tmp_path))
    image_id = user.run("upload", raw_disk, "--name", unique).stdout.strip()
    ready = namespace.wait_condition(unique, "Ready")
    assert ready.status.image_id == image_id
    saved = tmp_path / "saved"
    user.run("save", unique, "--file", saved)
    assert sha256(saved) == sha256(raw_disk)


@pytest.mark.slow
def test_an_upload_that_was_killed_is_begun_again_here_and_guarded_elsewhere(
    namespace: Namespace,
    openstack: OpenStack,
    proxied: Callable[[FaultProxy], User],
    raw_disk: Path,
    tmp_path: Path,
    unique: str,
) -> None:
    cloud, running = openstack.connect("images"), list[subprocess.Popen[str]]()
    uid = awaiting(namespace, unique)

    def kill(_: str) -> None:
        running[0].kill()

    words = ("upload", raw_disk, "--name", unique, "--os-cloud", "images")
    with before_glance(openstack, Fault("PUT", "/file", "call", at=8 << 20, call=kill)) as proxy:
        user = proxied(proxy)
        running.append(user.start(*words))
        running[0].communicate(timeout=120)
        assert running[0].returncode == -9
        (left,) = images_of(cloud, uid)
        namespace.patch(unique, {"metadata": {"annotations": {"cloudimage.dev/retry": "1"}}})
        seen = namespace.wait(unique, lambda each: each.status.last_handled_retry == "1")
        namespace.wait_condition(unique, "Ready", "False", "AwaitingUpload")
        assert seen.status.image_id is None
        assert [each["id"] for each in images_of(cloud, uid)] == [left["id"]], "it may go on"
        elsewhere = User(namespace, tmp_path / "elsewhere", openstack.clouds_yaml)
        done = elsewhere.run(*words, status=1)
        assert "Another upload of it began" in done.stderr
        assert left["id"] in done.stderr
        user.run(*words)
    ready = namespace.wait_condition(unique, "Ready")
    assert [each["id"] for each in images_of(cloud, uid)] == [ready.status.image_id]


def test_an_object_that_goes_meanwhile_takes_the_image_along(
    namespace: Namespace,
    openstack: OpenStack,
    proxied: Callable[[FaultProxy], User],
    raw_disk: Path,
    unique: str,
) -> None:
    cloud = openstack.connect("images")
    uid = awaiting(namespace, unique)

    def delete(_: str) -> None:
        namespace.delete(unique)
        namespace.wait_gone(unique)

    with before_glance(openstack, Fault("PUT", "/file", "call", at=8 << 20, call=delete)) as proxy:
        words = ("upload", raw_disk, "--name", unique, "--os-cloud", "images")
        done = proxied(proxy).run(*words, status=1)
    assert f"CloudImage {unique} was deleted meanwhile" in done.stderr
    assert wait_until(lambda: images_of(cloud, uid) == [], 20)
