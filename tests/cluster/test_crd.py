"""The real API server takes the CRD, and then the CloudImages it should and no others."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.kinds import CLOUD_IMAGE
from support.crd_cases import ACCEPTED, REJECTED, SHA256, UNMANAGED, Body, cloud_image
from support.crd_source_cases import UUID
from testbed.kubernetes import Cluster, KubectlError
from testbed.paths import REPOSITORY

pytestmark = pytest.mark.cluster

SAMPLES = sorted((REPOSITORY / "manifests" / "samples").glob("*.yaml"))

Create = Callable[[Body], Body]


@pytest.fixture(scope="module")
def api(crds: Cluster) -> Cluster:
    """The cluster, once it serves our kinds."""
    return crds


@pytest.fixture(scope="module")
def namespace(api: Cluster) -> str:
    return api.new_namespace("crd")


@pytest.fixture(scope="module")
def try_to_create(api: Cluster, namespace: str) -> Create:
    """Ask the server to create an object without keeping it; return it as it would be."""

    def run(body: Body) -> Body:
        flags = ("--dry-run=server", "--namespace", namespace, "-o", "json")
        created: Body = json.loads(
            api.run_kubectl("create", *flags, "-f", "-", stdin=json.dumps(body))
        )
        return created

    return run


def test_the_crd_is_sound(api: Cluster) -> None:
    crd = json.loads(api.run_kubectl("get", "crd", CLOUD_IMAGE.crd_name, "-o", "json"))
    conditions = {each["type"]: each["status"] for each in crd["status"]["conditions"]}
    # NonStructuralSchema and KubernetesAPIApprovalPolicyConformant appear only on trouble.
    assert conditions == {"NamesAccepted": "True", "Established": "True"}


@pytest.mark.parametrize("changes", ACCEPTED.values(), ids=ACCEPTED)
def test_accepted(try_to_create: Create, changes: dict[str, Any]) -> None:
    wanted = cloud_image(changes)
    created = try_to_create(wanted)
    assert wanted["spec"].get("image", {}).items() <= created["spec"]["image"].items()
    created["metadata"]["resourceVersion"] = "1"
    CloudImage.model_validate(created)


@pytest.mark.parametrize(("changes", "message"), REJECTED.values(), ids=REJECTED)
def test_rejected(try_to_create: Create, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(KubectlError) as refusal:
        try_to_create(cloud_image(changes))
    assert message in refusal.value.stderr


@pytest.mark.parametrize(
    ("changes", "other"),
    [({}, "Unmanaged"), (UNMANAGED | {"spec.import.id": UUID}, "Managed")],
    ids=["managed", "unmanaged"],
)
def test_the_management_policy_stays(
    api: Cluster, namespace: str, changes: dict[str, Any], other: str
) -> None:
    where = ("-n", namespace)
    api.run_kubectl("create", *where, "-f", "-", stdin=json.dumps(cloud_image(changes)))
    patch = json.dumps({"spec": {"managementPolicy": other}})
    with pytest.raises(KubectlError) as refusal:
        api.run_kubectl("patch", "cimg", "debian-12", *where, "--type=merge", "-p", patch)
    api.run_kubectl("delete", "cimg", "debian-12", *where)
    assert "managementPolicy cannot be changed" in refusal.value.stderr


def test_defaults_are_filled_in_the_spec_alone(try_to_create: Create) -> None:
    created = try_to_create(cloud_image())
    assert created["spec"]["deletionPolicy"] == "Delete"
    assert created["spec"]["image"] == {"containerFormat": "bare", "hidden": False}
    assert created["spec"]["managementPolicy"] == "Managed"
    assert created["spec"]["revisionHistoryLimit"] == 1
    assert "status" not in created
    created = try_to_create(cloud_image({"spec.image.name": "Debian"}))
    image = {"containerFormat": "bare", "hidden": False, "name": "Debian"}
    assert created["spec"]["image"] == image


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_samples_are_accepted(api: Cluster, namespace: str, path: Any) -> None:
    text = path.read_text().replace("${SOURCE_URL}", "http://127.0.0.1:18080/image.qcow2")
    text = text.replace("${SOURCE_SHA256}", SHA256)
    api.run_kubectl("create", "--dry-run=server", "-n", namespace, "-f", "-", stdin=text)
