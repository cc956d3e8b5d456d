"""``cloudimage plan --local``: by the user's own clouds.yaml, without a cluster."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cloudimage.api.names import API_VERSION
from support.namespaces import server
from support.openstack_actions import make_image
from testbed.openstack import OpenStack
from testbed.process import free_ports
from testbed.sources import Sources

pytestmark = pytest.mark.cloud


def manifest(url: str, **http: Any) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "CloudImage",
        "metadata": {"name": "debian-12"},
        "spec": {
            "cloudCredentialsRef": {"secretName": "openstack", "cloudName": "theirs"},
            "source": {"http": {"url": url, **http}},
            "image": {"diskFormat": "raw", "properties": {"os_distro": "debian"}},
        },
    }


def plan(
    openstack: OpenStack, folder: Path, document: dict[str, Any], kubeconfig: str, *words: str
) -> tuple[int, dict[str, list[dict[str, Any]]]]:
    path = folder / "image.json"
    path.write_text(json.dumps(document))
    done = subprocess.run(
        [sys.executable, "-m", "cloudimage", "plan", "-f", path, "-o", "json", *words],
        env={
            **os.environ,
            "KUBECONFIG": kubeconfig,
            "OS_CLIENT_CONFIG_FILE": str(openstack.clouds_yaml),
            "XDG_CACHE_HOME": str(folder),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "Traceback" not in done.stderr
    if not done.stdout:
        return done.returncode, {"": [{"text": done.stderr}]}
    [told] = json.loads(done.stdout)
    found: dict[str, list[dict[str, Any]]] = {}
    for each in told["findings"]:
        found.setdefault(each["what"], []).append(each)
    return done.returncode, found


def test_no_cluster_is_needed(
    openstack: OpenStack, tmp_path: Path, sources: Sources, qcow2: Path, unique: str
) -> None:
    document = manifest(sources.put(unique, qcow2))
    local = ("--local", "images")
    status, found = plan(openstack, tmp_path, document, "/nonexistent", *local)
    assert status == 2
    assert [each["state"] for each in found["CloudImage"]] == ["change", "unknown"]
    assert "There is no usable kubeconfig" in found["CloudImage"][1]["text"]
    assert found["content"][0]["format"] == "qcow2"
    assert found["rights"][0]["state"] == "ok"
    params = {"name": "cloudimage plan (to be deleted)", "os_hidden": "true"}
    left = openstack.connect("admin").image.get("/images", params=params).json()["images"]
    assert left == []
    # Without --local the cluster is needed.
    status, found = plan(openstack, tmp_path, document, "/nonexistent")
    assert status == 1
    assert "There is no usable kubeconfig" in found[""][0]["text"]


def test_a_cluster_that_is_away(
    openstack: OpenStack, tmp_path: Path, sources: Sources, qcow2: Path, unique: str
) -> None:
    [port] = free_ports(1)
    kubeconfig = tmp_path / "config"
    kubeconfig.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "a", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
                "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
                "users": [{"name": "a", "user": {}}],
                "current-context": "a",
            }
        )
    )
    document = manifest(sources.put(unique, qcow2))
    local = ("--local", "images")
    status, found = plan(openstack, tmp_path, document, str(kubeconfig), *local)
    assert status == 2
    assert "does not answer" in found["CloudImage"][1]["text"]
    # What the cluster would have is not looked at, and that is said.
    secret = manifest(document["spec"]["source"]["http"]["url"], auth={"secretName": "mirror"})
    status, found = plan(openstack, tmp_path, secret, str(kubeconfig), *local)
    assert status == 2
    assert found["source"][0]["state"] == "unknown"
    assert "it is not looked at" in found["source"][0]["text"]
    assert found["rights"][0]["state"] == "ok"
    status, found = plan(openstack, tmp_path, document, str(kubeconfig))
    assert status == 1
    assert "does not answer" in found["CloudImage"][0]["text"]


def test_a_cloud_that_is_not_there(openstack: OpenStack, tmp_path: Path) -> None:
    document = manifest("https://images.example.org/x.qcow2")
    status, found = plan(openstack, tmp_path, document, "/nonexistent", "--local", "mars")
    assert status == 1
    assert "has no cloud 'mars'" in found["cloud"][0]["text"]


def test_a_manifest_that_is_invalid(openstack: OpenStack, tmp_path: Path) -> None:
    document = manifest("https://images.example.org/x.qcow2", chekcsum={})
    status, found = plan(openstack, tmp_path, document, "/nonexistent", "--local", "images")
    assert status == 1
    assert "spec.source.http.chekcsum" in found["CloudImage"][0]["text"]


def test_a_servers_snapshot_is_not_taken_for_a_plan(
    openstack: OpenStack, tmp_path: Path, disk: Path, unique: str
) -> None:
    images, document = openstack.connect("images"), manifest("")
    image = make_image(images, disk.read_bytes(), visibility="private")
    document["spec"]["source"] = {"server": {"name": unique}}
    with server(images, unique, image.id) as server_id:
        status, found = plan(openstack, tmp_path, document, "/nonexistent", "--local", "images")
        assert status == 2
        assert "the snapshot is taken by the transfer" in found["content"][0]["text"]
        actions = images.compute.server_actions(server_id)
        assert [each.action for each in actions] == ["create"]
    images.image.delete_image(image)
    status, found = plan(openstack, tmp_path, document, "/nonexistent", "--local", "images")
    assert status == 1
    assert "is called" in json.dumps(found)
