"""What ``cloudimage plan`` says would fail, on a real API server and a real cloud."""

from pathlib import Path

import pytest

from support.namespaces import SECRET, Namespace
from support.plans import Planner, manifest
from support.projects import own_project
from testbed.openstack import OpenStack
from testbed.sources import Sources

pytestmark = [pytest.mark.cluster, pytest.mark.cloud]


def test_what_the_api_server_refuses(plan: Planner, unique: str) -> None:
    wrong = manifest(unique, "https://images.example.org/x.qcow2", {"diskFormat": "floppy"})
    status, found = plan(wrong)
    assert status == 1
    assert "spec.image.diskFormat" in found["CloudImage"]["text"]
    assert 'supported values: "' in found["CloudImage"]["text"]
    misspelt = manifest(unique, "https://images.example.org/x.qcow2", {"diskformat": "raw"})
    status, found = plan(misspelt)
    assert status == 1
    assert 'unknown field "spec.image.diskformat"' in found["CloudImage"]["text"]


def test_a_right_that_is_missing_is_said_beforehand(
    plan: Planner, sources: Sources, raw_disk: Path, unique: str
) -> None:
    url = sources.put(f"{unique}.raw", raw_disk)
    document = manifest(unique, url, {"visibility": "public"})
    status, found = plan(document)
    assert status == 1
    assert found["rights"]["reason"] == "Forbidden"
    assert "visibility public" in found["rights"]["text"]
    # The other answers are there as well.
    assert found["content"]["format"] == "raw"
    status, found = plan(document, "--no-probe")
    assert status == 2
    assert found["rights"]["state"] == "unknown"


def test_a_quota_that_is_too_small(
    plan: Planner,
    namespace: Namespace,
    openstack: OpenStack,
    sources: Sources,
    qcow2_disk: Path,
    unique: str,
) -> None:
    url = sources.put(f"{unique}.qcow2", qcow2_disk)
    ref = {"secretName": SECRET, "cloudName": "small"}
    document = manifest(unique, url, {"diskFormat": "raw"}, cloudCredentialsRef=ref)
    with own_project(openstack, unique) as project:
        project.set_quota("image_size_total", 60)
        namespace.put_secret(openstack, small=project.entry)
        status, found = plan(document)
    assert status == 1
    assert found["quota"]["reason"] == "QuotaExceeded"
    assert "it takes 64.0 MiB of image_size_total" in found["quota"]["text"]


def test_a_source_that_would_be_refused(
    plan: Planner, sources: Sources, qcow2_disk: Path, unique: str
) -> None:
    url = sources.put(f"{unique}.qcow2", qcow2_disk)
    sums = sources.put(f"{unique}-SUMS", f"{'0' * 64}  other.qcow2\n".encode())
    status, found = plan(manifest(unique, url, checksum={"from": {"url": sums}}))
    assert (status, found["source"]["reason"]) == (1, "SumsFileInvalid")
    status, found = plan(manifest(unique, url, {"maxSize": "32Mi"}))
    assert (status, found["source"]["reason"]) == (1, "ImageTooLarge")
    gone = manifest(unique, sources.url(f"{unique}.qcow2", status=404))
    status, found = plan(gone)
    assert (status, found["source"]["reason"]) == (1, "SourceNotFound")


def test_a_secret_that_is_not_there(plan: Planner, sources: Sources, unique: str) -> None:
    url = sources.put(f"{unique}.raw", b"x")
    ref = {"secretName": "none", "cloudName": "images"}
    status, found = plan(manifest(unique, url, cloudCredentialsRef=ref))
    assert status == 1
    assert "Secret none in namespace" in found["cloud"]["text"]
    assert "create it" in found["cloud"]["text"]
