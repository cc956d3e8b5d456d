"""The real API server takes the ImageShares it should and no others."""

import json
from typing import Any

import pytest

from cloudimage.api.imageshare import ImageShare
from cloudimage.api.kinds import IMAGE_SHARE
from cloudimage.api.names import API_VERSION
from testbed.kubernetes import Cluster, KubectlError

pytestmark = pytest.mark.cluster

CREDENTIALS = {"secretName": "openstack", "cloudName": "prod"}
UUID = "0b1c2d3e-4f5a-4697-8879-6a5b4c3d2e1f"
REF = {"imageRef": {"name": "debian-12"}}
BY_ID = {"image": {"cloudCredentialsRef": CREDENTIALS, "id": UUID}}
BY_NAME = {"image": {"cloudCredentialsRef": CREDENTIALS, "name": "appliance"}}
WEB = [{"id": "web"}]

ACCEPTED: dict[str, Any] = {
    "a CloudImage": {**REF, "projects": WEB},
    "one of another namespace": {
        "imageRef": {"name": "debian-12", "namespace": "images"},
        "projects": WEB,
    },
    "an id": {**BY_ID, "projects": WEB},
    "a name": {**BY_NAME, "projects": WEB},
    "every kind of project": {
        **REF,
        "projects": [
            {"id": "web", "acceptWith": CREDENTIALS},
            {"name": "web", "domain": "Default", "acceptWith": CREDENTIALS},
            {"domain": "customers"},
        ],
        "memberPolicy": "Exact",
        "deletionPolicy": "Orphan",
    },
    "as many as there can be": {**REF, "projects": [{"id": f"p{n}"} for n in range(1024)]},
}
REJECTED: dict[str, tuple[Any, str]] = {
    "no image": ({"projects": WEB}, "give either imageRef or image"),
    "two images": ({**REF, **BY_ID, "projects": WEB}, "give either imageRef or image"),
    "an image without a name": (
        {"image": {"cloudCredentialsRef": CREDENTIALS}, "projects": WEB},
        "give either the id or the name",
    ),
    "an image without credentials": (
        {"image": {"id": UUID}, "projects": WEB},
        "spec.image.cloudCredentialsRef: Required value",
    ),
    "nobody": ({**REF, "projects": []}, "should have at least 1 items"),
    "a project that is none": ({**REF, "projects": [{}]}, "give either the id, or the domain"),
    "a name as an id": (
        {**REF, "projects": [{"id": "web team"}]},
        "id cannot be a project's id",
    ),
    "a path as an id": ({**REF, "projects": [{"id": "../web"}]}, "id cannot be a project's id"),
    "a line after an id": (
        {**REF, "projects": [{"id": "web\n"}]},
        "id cannot be a project's id",
    ),
    "a name without its domain": (
        {**REF, "projects": [{"name": "web"}]},
        "a name needs its domain",
    ),
    "an id with a domain": (
        {**REF, "projects": [{"id": "web", "domain": "Default"}]},
        "give either the id, or the domain",
    ),
    "a domain that accepts": (
        {**REF, "projects": [{"domain": "customers", "acceptWith": CREDENTIALS}]},
        "acceptWith is for one project",
    ),
    "another policy": (
        {**REF, "projects": WEB, "memberPolicy": "Some"},
        'spec.memberPolicy: Unsupported value: "Some"',
    ),
    "misspelt": ({**REF, "projects": [{"ID": "web"}]}, 'unknown field "spec.projects[0].ID"'),
}
CHANGED: dict[str, tuple[Any, Any]] = {
    "another CloudImage": (REF, {"imageRef": {"name": "debian-13"}}),
    "another id": (BY_ID, {"image": {"id": UUID.replace("0", "1")}}),
    "a name for an id": (BY_ID, {"image": {"id": None, "name": "appliance"}}),
    "a CloudImage for an id": (BY_ID, {"image": None, **REF}),
}


def share(spec: dict[str, Any]) -> str:
    metadata = {"name": "to-web"}
    body = {"apiVersion": API_VERSION, "kind": "ImageShare", "metadata": metadata, "spec": spec}
    return json.dumps(body)


@pytest.fixture(scope="module")
def namespace(crds: Cluster) -> str:
    return crds.new_namespace("crd")


@pytest.fixture(scope="module")
def dry(namespace: str) -> tuple[str, ...]:
    return ("create", "--dry-run=server", "-n", namespace, "-o", "json", "-f", "-")


def test_the_crd_is_sound(crds: Cluster) -> None:
    crd = json.loads(crds.run_kubectl("get", "crd", IMAGE_SHARE.crd_name, "-o", "json"))
    conditions = {each["type"]: each["status"] for each in crd["status"]["conditions"]}
    assert conditions == {"NamesAccepted": "True", "Established": "True"}


@pytest.mark.parametrize("spec", ACCEPTED.values(), ids=ACCEPTED)
def test_accepted(crds: Cluster, dry: tuple[str, ...], spec: dict[str, Any]) -> None:
    created = json.loads(crds.run_kubectl(*dry, stdin=share(spec)))
    created["metadata"]["resourceVersion"] = "1"
    parsed = ImageShare.model_validate(created)
    assert len(parsed.spec.projects) == len(spec["projects"])
    assert parsed.spec.member_policy == spec.get("memberPolicy", "Merge")


@pytest.mark.parametrize(("spec", "message"), REJECTED.values(), ids=REJECTED)
def test_rejected(crds: Cluster, dry: tuple[str, ...], spec: dict[str, Any], message: str) -> None:
    with pytest.raises(KubectlError) as refusal:
        crds.run_kubectl(*dry, stdin=share(spec))
    assert message in refusal.value.stderr


@pytest.mark.parametrize(("spec", "change"), CHANGED.values(), ids=CHANGED)
def test_what_is_shared_stays_what_it_is(
    crds: Cluster, namespace: str, spec: dict[str, Any], change: dict[str, Any]
) -> None:
    where = ("-n", namespace)
    crds.run_kubectl("create", *where, "-f", "-", stdin=share({**spec, "projects": WEB}))
    words = ("patch", "cimgshare", "to-web", *where, "--type=merge", "-p")
    with pytest.raises(KubectlError) as refusal:
        crds.run_kubectl(*words, json.dumps({"spec": change}))
    assert "create another ImageShare" in refusal.value.stderr
    credentials = {"cloudCredentialsRef": {"secretName": "rotated"}}
    others = {
        "projects": [{"domain": "all"}],
        **({"image": credentials} if "image" in spec else {}),
    }
    crds.run_kubectl(*words, json.dumps({"spec": others}))
    crds.run_kubectl("delete", "cimgshare", "to-web", *where)
