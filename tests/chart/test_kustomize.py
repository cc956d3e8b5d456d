"""The overlays and the component build, and grant what the chart grants in the same mode."""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from cloudimage.runners.logic.job_manifest import JobTemplate
from testbed.paths import REPOSITORY

MANIFESTS = REPOSITORY / "manifests"
OVERLAYS = MANIFESTS / "overlays"
RBAC = {"Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"}
MODES: dict[str, dict[str, Any]] = {
    "cluster-wide": {},
    "namespaced": {"watchNamespaces": ["images"]},
}

Objects = list[dict[str, Any]]
Kustomize = Callable[[Path], Objects]
Render = Callable[..., Objects]


def rights(objects: Objects) -> dict[tuple[str, str | None, str], Any]:
    """Return what each role and binding says, by kind, namespace and name."""
    return {
        (each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"]): (
            each.get("rules"),
            each.get("roleRef"),
            each.get("subjects"),
        )
        for each in objects
        if each["kind"] in RBAC
    }


def only(objects: Objects, kind: str) -> dict[str, Any]:
    [found] = [each for each in objects if each["kind"] == kind]
    return found


def environment(objects: Objects) -> dict[str, str]:
    [container] = only(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    return {each["name"]: each["value"] for each in container["env"]}


@pytest.mark.parametrize("mode", MODES)
def test_overlays_grant_what_the_chart_does(
    render: Render, kustomize: Kustomize, mode: str
) -> None:
    built = kustomize(OVERLAYS / mode)
    assert rights(built) == rights(render(**MODES[mode]))
    assert environment(built) == environment(render(**MODES[mode]))


@pytest.mark.parametrize("mode", MODES)
def test_overlays_bound_what_is_changed_of_secrets_as_the_chart_does(
    render: Render, kustomize: Kustomize, mode: str
) -> None:
    built, chart = kustomize(OVERLAYS / mode), render(**MODES[mode])
    for kind in ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"):
        ours, theirs = only(built, kind), only(chart, kind)
        assert ours["spec"] == theirs["spec"]
        assert ours["metadata"]["name"] == theirs["metadata"]["name"]
        assert "namespace" not in ours["metadata"]


@pytest.mark.parametrize("mode", MODES)
def test_jobs_are_a_component_of_either(
    render: Render, kustomize: Kustomize, tmp_path: Path, mode: str
) -> None:
    image = {"name": "cloudimage-operator", "newName": "registry/operator", "newTag": "v9"}
    inner = kustomization(tmp_path / "inner", OVERLAYS / mode, images=[image])
    jobs = MANIFESTS / "components" / "jobs"
    built = kustomize(kustomization(tmp_path / "outer", inner, components=[jobs]))

    chart = render(
        **MODES[mode],
        transfer={"runner": "job"},
        image={"repository": "registry/operator", "tag": "v9"},
    )
    assert rights(built) == rights(chart)
    ours, theirs = environment(built), environment(chart)
    assert ours["CLOUDIMAGE_RUNNER"] == theirs["CLOUDIMAGE_RUNNER"] == "job"
    assert template(ours) == template(theirs)


def test_replicas_are_a_component(render: Render, kustomize: Kustomize, tmp_path: Path) -> None:
    component = MANIFESTS / "components" / "leader-election"
    folder = kustomization(tmp_path / "x", OVERLAYS / "namespaced", components=[component])
    built, chart = kustomize(folder), render(**MODES["namespaced"], replicas=2)
    assert rights(built) == rights(chart)
    ours, theirs = only(built, "Deployment")["spec"], only(chart, "Deployment")["spec"]
    assert (ours["replicas"], ours["strategy"]) == (theirs["replicas"], theirs["strategy"])
    lease = {"CLOUDIMAGE_LEASE": "cloudimage-system/cloudimage-operator"}
    assert lease.items() <= environment(built).items()
    assert lease.items() <= environment(chart).items()


def kustomization(
    folder: Path, *resources: Path, components: Sequence[Path] = (), **more: Any
) -> Path:
    """Write a kustomization of these folders; kustomize takes no absolute paths."""
    folder.mkdir()

    def relative(paths: Sequence[Path]) -> list[str]:
        return [os.path.relpath(each, folder) for each in paths]

    document = {"resources": relative(resources), "components": relative(components), **more}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(document))
    return folder


def template(env: dict[str, str]) -> JobTemplate:
    """Return how Jobs look by the resources and the image of an environment."""
    return JobTemplate(
        image=env["CLOUDIMAGE_JOB_IMAGE"],
        scratch_size=env["CLOUDIMAGE_JOB_SCRATCH_SIZE"],
        resources=json.loads(env["CLOUDIMAGE_JOB_RESOURCES"]),
    )


def test_the_service_is_the_charts(render: Render, kustomize: Kustomize) -> None:
    ours, theirs = only(kustomize(MANIFESTS / "base"), "Service"), only(render(), "Service")
    assert ours["spec"]["ports"] == theirs["spec"]["ports"]
    labels = only(kustomize(MANIFESTS / "base"), "Deployment")["spec"]["template"]["metadata"]
    assert ours["spec"]["selector"].items() <= labels["labels"].items()
