"""Words from outside as a running operator and the commands show them: without their effects."""

import io
import json
import tarfile
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from cloudimage.cli.app import app
from support.namespaces import Namespace, wait_until
from support.strange_clouds import WORDS, StrangeCloud
from testbed.images import sha256_of
from testbed.openstack import OpenStack
from testbed.sources import Sources

pytestmark = [pytest.mark.cluster, pytest.mark.cloud]

FORBIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def shows(text: str) -> bool:
    """Return whether nothing in the text does anything but show itself, lines apart."""
    return all(unicodedata.category(char) not in FORBIDDEN for char in text.replace("\n", ""))


@pytest.fixture(scope="module")
def strange() -> Iterator[StrangeCloud]:
    """A Keystone with words of harm."""
    with StrangeCloud() as cloud:
        yield cloud


def archive_with_names(path: Path) -> Path:
    """Make an archive of two files whose names have control characters."""
    with tarfile.open(path, "w") as archive:
        for name in ("a\x1b[2J\u202e.raw", "b\x1b[2J\n.raw"):
            member = tarfile.TarInfo(name)
            member.size = 1024
            archive.addfile(member, io.BytesIO(b"x" * 1024))
        link = tarfile.TarInfo("c\x1b[2J\u202e")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/\x1b[2J"
        archive.addfile(link)
    return path


def objects_and_log(namespace: Namespace, name: str) -> list[str]:
    """Return every text about a CloudImage that a person may read."""
    resource = namespace.get(name)
    assert resource is not None
    listed = namespace.core.list_namespaced_event(
        namespace.name, field_selector=f"involvedObject.name={name}"
    )
    status = resource.status.model_dump(mode="json", exclude={"conditions"})
    return [
        *(condition.message for condition in resource.status.conditions),
        *(str(event.message) for event in listed.items),
        json.dumps(status, ensure_ascii=False),
    ]


@pytest.mark.parametrize("case", ["Keystone's", "clouds.yaml's", "an archive's"])
def test_words_from_outside_lose_their_effects(
    own_namespace: Namespace,
    openstack: OpenStack,
    sources: Sources,
    strange: StrangeCloud,
    tmp_path: Path,
    unique: str,
    case: str,
) -> None:
    path = archive_with_names(tmp_path / "disk.tar")
    url, cloud = sources.put(f"{unique}.tar", path), "images"
    clouds: dict[str, Any] = {"evil\x1b[2J\u202e\n": openstack.cloud("images")}
    if case == "Keystone's":
        cloud, clouds = "words", {"words": strange.cloud("words")}
    elif case == "clouds.yaml's":
        cloud = "none"
    own_namespace.put_secret(openstack, **clouds)
    ref = {"secretName": "openstack", "cloudName": cloud}
    own_namespace.create(unique, url, sha256_of(path), cloudCredentialsRef=ref)
    own_namespace.wait_condition(unique, "Stalled")
    wait_until(lambda: len(own_namespace.events(unique)) > 0, 10)
    texts = objects_and_log(own_namespace, unique)
    assert [text for text in texts if not shows(text)] == []
    log = own_namespace.operator.log()
    assert [line for line in log.splitlines() if not shows(line)] == []
    for line in log.splitlines():
        if line.startswith("{"):
            entry = json.loads(line)
            assert shows(json.dumps(entry, ensure_ascii=False)), entry


def invoke(namespace: Namespace, *words: str) -> str:
    """Run a command and return all that it printed."""
    options = ("--kubeconfig", str(namespace.cluster.kubeconfig), "-n", namespace.name)
    result = CliRunner().invoke(app, [*words, *options])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.output
    return result.output


def test_the_commands_show_a_hostile_object_without_its_effects(
    namespace: Namespace, sources: Sources, raw_disk: Path, unique: str
) -> None:
    """An older operator, or anybody else, may have written it."""
    url = sources.put(f"{unique}.raw", raw_disk)
    bad = f"{WORDS} cut".replace("\x00", "")  # the database of Glance takes none
    namespace.create(unique, url, sha256_of(raw_disk), {"properties": {"note": bad}})
    namespace.wait_condition(unique, "Ready")
    namespace.operator.stop()
    try:
        resource = namespace.get(unique)
        assert resource is not None
        status = resource.status.to_json()
        for condition in status["conditions"]:
            condition["message"] = bad
        stalled = {
            **status["conditions"][0],
            "type": "Stalled",
            "status": "True",
            "reason": "Conflict",
        }
        status["conditions"] = [*status["conditions"], stalled]
        address = (*namespace.address, unique)
        body: Any = namespace.objects.get_namespaced_custom_object(*address)
        body["status"] = status
        namespace.objects.replace_namespaced_custom_object_status(*address, body)
        event: Any = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"generateName": "x-"},
            "involvedObject": {
                "apiVersion": "cloudimage.dev/v1alpha1",
                "kind": "CloudImage",
                "name": unique,
                "namespace": namespace.name,
                "uid": resource.metadata.uid,
            },
            "reason": "Bad\x1b[2J",
            "message": bad,
            "type": "Warning",
        }
        namespace.core.create_namespaced_event(namespace.name, event)
        described = invoke(namespace, "describe", unique)
        assert "end cut" in described
        for output in (
            described,
            invoke(namespace, "watch", unique, "--timeout", "2s"),
            invoke(namespace, "get", unique),
            invoke(namespace, "get", unique, "-o", "wide"),
            invoke(namespace, "get", unique, "-o", "json"),
            invoke(namespace, "get", unique, "-o", "yaml"),
        ):
            assert shows(output), output
        whole = yaml.safe_load(invoke(namespace, "get", unique, "-o", "yaml"))
        assert whole["spec"]["image"]["properties"]["note"] == bad
    finally:
        namespace.operator.start()
    namespace.delete(unique)
    namespace.wait_gone(unique)
