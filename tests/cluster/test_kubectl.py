"""What kubectl's users see of CloudImages: columns, selectors, waits, explanations."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from testbed.kubernetes import Cluster, KubectlError
from testbed.paths import REPOSITORY

pytestmark = pytest.mark.cluster

IMAGE_ID = "5a6f6c1e-0000-4000-8000-00000000000a"
SAMPLE = REPOSITORY / "manifests" / "samples" / "cloudimage-minimal.yaml"
READY = {
    "type": "Ready",
    "status": "True",
    "reason": "Available",
    "message": "The image is there.",
    "lastTransitionTime": "2026-01-02T03:04:05Z",
    "observedGeneration": 1,
}
STATUS: dict[str, Any] = {
    "observedGeneration": 1,
    "imageID": IMAGE_ID,
    "diskFormat": "raw",
    "visibility": "shared",
    "size": 2**31,
    "follow": {"version": "20260101-1", "lastCheckTime": "2026-01-01T00:00:00Z"},
    "progress": {"stage": "Uploading", "percent": 63, "transferredBytes": 2**33},
    "summary": {"progress": "63%", "size": "2.0Gi", "inUse": "2"},
    "usedBy": {
        "servers": 2,
        "scope": "AllProjects",
        "lastCheckTime": "2026-01-01T00:00:00Z",
    },
    "conditions": [READY, *({**READY, "type": each} for each in ("Verified", "Booted"))],
}


@pytest.fixture(scope="module")
def namespace(crds: Cluster, cluster: Cluster) -> str:
    """A namespace with two CloudImages, one of which has a status."""
    name = cluster.new_namespace("kubectl")
    cluster.run_kubectl("create", "-n", name, "-f", str(SAMPLE))
    other = SAMPLE.read_text().replace("debian-12\n", "other\n").replace(": openstack", ": else")
    cluster.run_kubectl("create", "-n", name, "-f", "-", stdin=other)
    patch_status(cluster, name, STATUS)
    return name


def patch_status(cluster: Cluster, namespace: str, status: dict[str, Any]) -> None:
    cluster.run_kubectl(
        *("patch", "cloudimage", "debian-12", "-n", namespace, "--subresource=status"),
        *("--type=merge", "--patch", json.dumps({"status": status})),
    )


def cells(table: str) -> Iterator[list[str]]:
    """Yield the rows of kubectl's table; columns are three spaces apart."""
    for line in table.splitlines():
        yield [cell.strip() for cell in line.split("   ") if cell.strip()]


def test_get_shows_the_columns_of_the_design(cluster: Cluster, namespace: str) -> None:
    heading, debian, other = cells(cluster.run_kubectl("get", "cloudimages", "-n", namespace))
    assert heading == [
        *("NAME", "READY", "VERIFIED", "STAGE", "PROGRESS", "FORMAT", "SIZE", "VISIBILITY"),
        *("IN USE", "USE CHECKED", "AGE"),
    ]
    assert debian[:-2] == [
        *("debian-12", "True", "True", "Uploading", "63%", "raw", "2.0Gi", "shared", "2"),
    ]
    assert other[0] == "other"


def test_wide_adds_id_reason_and_message(cluster: Cluster, namespace: str) -> None:
    table = cluster.run_kubectl("get", "cimg", "debian-12", "-n", namespace, "-o", "wide")
    heading, debian = cells(table)
    row = dict(zip(heading, debian, strict=True))
    assert row["IMAGE ID"] == IMAGE_ID
    assert (row["VERSION"], row["BOOTED"]) == ("20260101-1", "True")
    assert (row["REASON"], row["MESSAGE"]) == ("Available", "The image is there.")


@pytest.mark.parametrize("name", ["cimg", "cloudimage", "openstack"])
def test_other_names_find_them_too(cluster: Cluster, namespace: str, name: str) -> None:
    found = cluster.run_kubectl("get", name, "-n", namespace, "-o", "name").split()
    assert found == [
        "cloudimage.cloudimage.dev/debian-12",
        "cloudimage.cloudimage.dev/other",
    ]


@pytest.mark.parametrize(
    ("selector", "name"),
    [
        ("spec.cloudCredentialsRef.secretName=else", "other"),
        (f"status.imageID={IMAGE_ID}", "debian-12"),
    ],
)
def test_field_selectors(cluster: Cluster, namespace: str, selector: str, name: str) -> None:
    query = ("get", "cimg", "-n", namespace, "--field-selector", selector, "-o", "name")
    assert cluster.run_kubectl(*query).split() == [f"cloudimage.cloudimage.dev/{name}"]


def test_wait_for_ready(cluster: Cluster, namespace: str) -> None:
    wait = ("wait", "--for=condition=Ready", "-n", namespace)
    cluster.run_kubectl(*wait, "cloudimage/debian-12", "--timeout=10s")
    with pytest.raises(KubectlError, match="timed out"):
        cluster.run_kubectl(*wait, "cloudimage/other", "--timeout=1s")


def test_explain_has_our_words(cluster: Cluster, namespace: str) -> None:
    assert namespace
    text = cluster.run_kubectl("explain", "cloudimage.spec.image.minDiskGiB")
    assert "the smallest root disk, in GiB" in " ".join(text.split())


@pytest.mark.parametrize(
    ("status", "message"),
    [
        ({"conditions": [READY, READY]}, 'status.conditions[1]: Duplicate value: {"type":"Ready"}'),
        ({"conditions": [READY | {"status": "Yes"}]}, 'Unsupported value: "Yes"'),
        ({"usedBy": {"scope": None}}, "status.usedBy.scope: Required value"),
        ({"progress": {"stage": "Uploading", "percent": 101}}, "less than or equal to 100"),
    ],
    ids=["same condition twice", "condition's status", "scope left out", "over 100 percent"],
)
def test_a_bad_status_is_refused(
    cluster: Cluster, namespace: str, status: dict[str, Any], message: str
) -> None:
    with pytest.raises(KubectlError) as refusal:
        patch_status(cluster, namespace, STATUS | status)
    assert message in refusal.value.stderr


def test_spec_and_status_have_generations_of_their_own(cluster: Cluster, namespace: str) -> None:
    def generation() -> str:
        path = "-o=jsonpath={.metadata.generation}"
        return cluster.run_kubectl("get", "cimg", "debian-12", "-n", namespace, path)

    assert generation() == "1"
    patch_status(cluster, namespace, STATUS | {"visibility": "private"})
    assert generation() == "1"
    patch_status(cluster, namespace, STATUS)
