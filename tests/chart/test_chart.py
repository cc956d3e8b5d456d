"""The chart renders what it promises, refuses what it cannot, and equals the kustomize base."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import cloudimage
from cloudimage.api.kinds import KINDS
from cloudimage.api.names import GROUP
from cloudimage.runners.logic.job_manifest import JobTemplate
from cloudimage.settings import SETTINGS
from testbed.paths import REPOSITORY

CHART = REPOSITORY / "helm" / "cloudimage-operator"
BASE = REPOSITORY / "manifests" / "base"
JOB = {"runner": "job"}
VARIABLES = {setting.variable for setting in SETTINGS}

Objects = list[dict[str, Any]]
Helm = Callable[..., subprocess.CompletedProcess[str]]
Render = Callable[..., Objects]


@pytest.fixture(scope="session")
def base(kustomize: Callable[[Path], Objects]) -> Objects:
    """What kustomize makes of the base."""
    return kustomize(BASE)


def of_kind(objects: Objects, kind: str) -> dict[str, dict[str, Any]]:
    """Return the objects of a kind by name."""
    return {each["metadata"]["name"]: each for each in objects if each["kind"] == kind}


def only(objects: Objects, kind: str) -> dict[str, Any]:
    """Return the one object of a kind."""
    [found] = of_kind(objects, kind).values()
    return found


def rules(role: dict[str, Any]) -> set[tuple[str, str, str]]:
    """Return a role's rules as single grants, so that their order and grouping do not matter."""
    return {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"watchNamespaces": ["a", "b"]},
        {"crds": {"install": False}, "rbac": {"create": False, "aggregate": False}},
        {"serviceAccount": {"create": False, "name": "mine"}},
        {"transfer": JOB},
    ],
    ids=["defaults", "namespaced", "least", "own-account", "jobs"],
)
def test_lint(helm: Helm, values_file: Callable[..., str], values: dict[str, Any]) -> None:
    done = helm("lint", "--strict", str(CHART), "--values", values_file(values))
    assert done.returncode == 0, done.stdout + done.stderr


def test_versions_are_the_packages(render: Render, base: Objects) -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == cloudimage.__version__
    for objects in (render(), base):
        [container] = only(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
        assert container["image"] == f"cloudimage-operator:{cloudimage.__version__}"


def test_cluster_wide_rights_are_those_of_the_base(render: Render, base: Objects) -> None:
    ours, theirs = of_kind(render(), "ClusterRole"), of_kind(base, "ClusterRole")
    assert ours.keys() == theirs.keys()
    assert len(ours) == 3
    for name, role in ours.items():
        assert rules(role) == rules(theirs[name])
        assert _aggregation(role) == _aggregation(theirs[name])
    binding, other = only(render(), "ClusterRoleBinding"), only(base, "ClusterRoleBinding")
    assert binding["subjects"] == other["subjects"]
    assert binding["roleRef"] == other["roleRef"]


def _aggregation(role: dict[str, Any]) -> dict[str, str]:
    labels: dict[str, str] = role["metadata"]["labels"]
    return {key: value for key, value in labels.items() if "/aggregate-to-" in key}


def test_namespaced_rights_end_at_the_namespaces(render: Render, base: Objects) -> None:
    objects = render(watchNamespaces=["a", "b"], rbac={"aggregate": False})
    assert of_kind(objects, "ClusterRole") == of_kind(objects, "ClusterRoleBinding") == {}
    whole = rules(of_kind(base, "ClusterRole")["cloudimage-operator"])
    roles = [each for each in objects if each["kind"] == "Role"]
    assert [each["metadata"]["namespace"] for each in roles] == ["a", "b"]
    assert all(rules(role) == whole for role in roles)
    bindings = [each for each in objects if each["kind"] == "RoleBinding"]
    assert [each["metadata"]["namespace"] for each in bindings] == ["a", "b"]
    account = only(objects, "ServiceAccount")["metadata"]
    for binding in bindings:
        [subject] = binding["subjects"]
        assert subject == {
            "kind": "ServiceAccount",
            "name": account["name"],
            "namespace": account["namespace"],
        }


def test_nobody_gets_a_wildcard_or_may_list_secrets(base: Objects) -> None:
    granted = {grant for role in of_kind(base, "ClusterRole").values() for grant in rules(role)}
    assert not any("*" in part for grant in granted for part in grant)
    assert {verb for _, resource, verb in granted if resource == "secrets"} == {"get", "patch"}


def test_config_maps_are_written_only_where_that_is_asked_for(render: Render) -> None:
    def verbs(**values: Any) -> set[str]:
        role = of_kind(render(**values), "ClusterRole")["cloudimage-operator"]
        return {verb for _, resource, verb in rules(role) if resource == "configmaps"}

    assert verbs() == {"get"}
    assert verbs(publish={"enabled": True}) == {"get", "create", "patch", "delete"}
    [role] = [
        each
        for each in render(publish={"enabled": True}, watchNamespaces=["a"])
        if each["kind"] == "Role"
    ]
    assert ("", "configmaps", "patch") in rules(role)


def test_pods_are_those_of_the_base(render: Render, base: Objects) -> None:
    ours, theirs = only(render(), "Deployment")["spec"], only(base, "Deployment")["spec"]
    assert ours["template"]["spec"] == theirs["template"]["spec"]
    assert (ours["replicas"], ours["strategy"]) == (theirs["replicas"], theirs["strategy"])
    assert (ours["replicas"], ours["strategy"]) == (1, {"type": "Recreate"})


def test_selectors_match_the_pods(render: Render, base: Objects) -> None:
    for objects in (render(podLabels={"team": "images"}), base):
        spec = only(objects, "Deployment")["spec"]
        labels = spec["template"]["metadata"]["labels"]
        assert spec["selector"]["matchLabels"].items() <= labels.items()


def test_a_change_of_the_chart_alone_keeps_the_pods(render: Render) -> None:
    template = only(render(), "Deployment")["spec"]["template"]
    assert not any(key.startswith("helm.sh/") for key in template["metadata"]["labels"])


def test_the_environment_is_what_the_command_line_reads(render: Render) -> None:
    objects = render(
        watchNamespaces=["a", "b"], maxConcurrentTransfers=2, logLevel="DEBUG", resyncSeconds=60
    )
    [container] = only(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    env = {each["name"]: each["value"] for each in container["env"]}
    assert env.keys() - {"TMPDIR"} <= VARIABLES
    assert env["CLOUDIMAGE_NAMESPACES"] == "a,b"
    assert env["CLOUDIMAGE_MAX_CONCURRENT_TRANSFERS"] == "2"
    assert env["CLOUDIMAGE_LOG_LEVEL"] == "DEBUG"
    assert env["CLOUDIMAGE_RESYNC_SECONDS"] == "60"
    mounts = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
    assert env["CLOUDIMAGE_SCRATCH_DIR"] == env["TMPDIR"] == mounts["scratch"]
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    assert env["CLOUDIMAGE_PROBE_ADDRESS"] == f"0.0.0.0:{ports['probe']}"
    assert env["CLOUDIMAGE_METRICS_ADDRESS"] == f"0.0.0.0:{ports['metrics']}"


def test_jobs_are_a_choice_with_its_own_rights(render: Render, base: Objects) -> None:
    plain = rules(of_kind(base, "ClusterRole")["cloudimage-operator"])
    more = rules(of_kind(render(transfer=JOB), "ClusterRole")["cloudimage-operator"])
    assert more - plain == {
        *(("batch", "jobs", verb) for verb in ("create", "get", "list", "delete")),
        ("", "pods", "list"),
        ("", "pods/log", "get"),
    }
    assert plain < more
    assert not any(verb == "list" for _, what, verb in more if what == "secrets")


def test_volumes_are_read_by_jobs_beside_the_runner_child(render: Render) -> None:
    objects = render(transfer={"persistentVolumeClaims": True})
    jobs = rules(of_kind(render(transfer=JOB), "ClusterRole")["cloudimage-operator"])
    assert rules(of_kind(objects, "ClusterRole")["cloudimage-operator"]) == jobs
    [container] = only(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    env = {each["name"]: each["value"] for each in container["env"]}
    assert env["CLOUDIMAGE_RUNNER"] == "child"
    assert env["CLOUDIMAGE_JOB_IMAGE"] == container["image"]


def test_images_are_customized_by_jobs_of_their_own_container_image(render: Render) -> None:
    repository = "registry.example.org/customize"
    resources = {"limits": {"memory": "3Gi"}}
    objects = render(customize={"image": {"repository": repository}, "resources": resources})
    jobs = rules(of_kind(render(transfer=JOB), "ClusterRole")["cloudimage-operator"])
    assert rules(of_kind(objects, "ClusterRole")["cloudimage-operator"]) == jobs
    [container] = only(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    env = {each["name"]: each["value"] for each in container["env"]}
    assert env.keys() - {"TMPDIR"} <= VARIABLES
    tag = container["image"].rpartition(":")[2]
    assert env["CLOUDIMAGE_CUSTOMIZE_IMAGE"] == f"{repository}:{tag}"
    # Helm merges what is given with the chart's own.
    found = json.loads(env["CLOUDIMAGE_CUSTOMIZE_RESOURCES"])
    assert found["limits"] == resources["limits"]
    assert found["requests"] == {"cpu": "1", "memory": "1536Mi"}
    # Who may have images customized may not thereby have any volume read.
    assert "CLOUDIMAGE_JOB_IMAGE" not in env
    [container] = only(render(), "Deployment")["spec"]["template"]["spec"]["containers"]
    assert "CLOUDIMAGE_CUSTOMIZE_IMAGE" not in {each["name"] for each in container["env"]}


def test_the_jobs_settings_reach_the_command_line(render: Render) -> None:
    pod = {
        "nodeSelector": {"disk": "fast"},
        "tolerations": [{"key": "images", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "imagePullSecrets": [{"name": "registry"}],
        "priorityClassName": "low",
    }
    volumes = {"storageClassName": "fast", "scratchClaim": "shared"}
    job = {**pod, "deadlineSeconds": 3600, **volumes}
    objects = render(transfer={"runner": "job", "job": job}, scratch={"sizeLimit": "9Gi"})
    [container] = only(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    env = {each["name"]: each["value"] for each in container["env"]}
    assert env.keys() - {"TMPDIR"} <= VARIABLES
    assert env["CLOUDIMAGE_RUNNER"] == "job"
    template = JobTemplate(
        image=env["CLOUDIMAGE_JOB_IMAGE"],
        pull_policy=env["CLOUDIMAGE_JOB_PULL_POLICY"],
        scratch_size=env["CLOUDIMAGE_JOB_SCRATCH_SIZE"],
        storage_class=env["CLOUDIMAGE_JOB_STORAGE_CLASS"],
        scratch_claim=env["CLOUDIMAGE_JOB_SCRATCH_CLAIM"],
        deadline_seconds=int(env["CLOUDIMAGE_JOB_DEADLINE_SECONDS"]),
        resources=json.loads(env["CLOUDIMAGE_JOB_RESOURCES"]),
        pod=json.loads(env["CLOUDIMAGE_JOB_POD"]),
    )
    assert template == JobTemplate(
        image=container["image"],
        scratch_size="9Gi",
        storage_class="fast",
        scratch_claim="shared",
        deadline_seconds=3600,
        resources={
            "requests": {"cpu": "100m", "memory": "256Mi"},
            "limits": {"memory": "2Gi"},
        },
        pod=pod,
    )


def test_all_that_is_written_to_is_a_volume(render: Render, base: Objects) -> None:
    """The root file system is read-only; TMPDIR is in the scratch."""
    for objects in (render(), base):
        pod = only(objects, "Deployment")["spec"]["template"]["spec"]
        [container] = pod["containers"]
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        mounts = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
        assert mounts == {"scratch": "/scratch"}
        assert all(each["emptyDir"]["sizeLimit"] for each in pod["volumes"])
        assert {each["name"] for each in pod["volumes"]} == mounts.keys()


def test_crds_are_the_generated_ones_and_stay(render: Render) -> None:
    crds = of_kind(render(), "CustomResourceDefinition")
    assert crds.keys() == {kind.crd_name for kind in KINDS}
    for kind in KINDS:
        crd = crds[kind.crd_name]
        annotations = crd["metadata"].pop("annotations")
        assert annotations == {"helm.sh/resource-policy": "keep"}
        generated = REPOSITORY / "crds" / f"{GROUP}_{kind.plural}.yaml"
        assert crd == yaml.safe_load(generated.read_text())
    assert of_kind(render(crds={"install": False}), "CustomResourceDefinition") == {}


def test_values_reach_the_pod(render: Render) -> None:
    pod: dict[str, Any] = {
        "nodeSelector": {"disk": "fast"},
        "tolerations": [{"key": "images", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "imagePullSecrets": [{"name": "registry"}],
    }
    objects = render(
        **pod,
        resources={"limits": {"memory": "1Gi"}},
        image={"repository": "example.org/images/operator", "tag": "v9", "pullPolicy": "Always"},
        scratch={"sizeLimit": "1Ti"},
        podAnnotations={"note": "yes"},
        serviceAccount={"annotations": {"role": "images"}},
    )
    template = only(objects, "Deployment")["spec"]["template"]
    [container] = template["spec"]["containers"]
    assert {key: template["spec"][key] for key in pod} == pod
    assert container["resources"]["limits"] == {"memory": "1Gi"}
    assert container["image"] == "example.org/images/operator:v9"
    assert container["imagePullPolicy"] == "Always"
    [scratch] = template["spec"]["volumes"]
    assert scratch == {"name": "scratch", "emptyDir": {"sizeLimit": "1Ti"}}
    assert template["metadata"]["annotations"]["note"] == "yes"
    assert only(objects, "ServiceAccount")["metadata"]["annotations"] == {"role": "images"}


def test_without_an_image_of_ones_own_nothing_is_installed(helm: Helm) -> None:
    done = helm("template", "x", str(CHART))
    assert done.returncode != 0
    assert "image.repository is empty" in done.stderr
    assert "--set image.repository=registry.example.org/cloudimage-operator" in done.stderr


def test_an_account_of_ones_own(render: Render) -> None:
    objects = render(serviceAccount={"create": False, "name": "mine"})
    assert of_kind(objects, "ServiceAccount") == {}
    pod = only(objects, "Deployment")["spec"]["template"]["spec"]
    [subject] = only(objects, "ClusterRoleBinding")["subjects"]
    assert pod["serviceAccountName"] == subject["name"] == "mine"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"transfer": {"runner": "pod"}}, "at '/transfer/runner': value must be one of 'child'"),
        ({"transfer": {"job": {"deadlineSeconds": 0}}}, "at '/transfer/job/deadlineSeconds'"),
        ({"logLevel": "TRACE"}, "at '/logLevel': value must be one of 'DEBUG', 'INFO'"),
        ({"watchNamespaces": ["images-*"]}, "at '/watchNamespaces/0': 'images-*' does not match"),
        ({"watchNamespaces": "images"}, "at '/watchNamespaces': got string, want array"),
        ({"watchNamespaces": ["a", "a"]}, "items at 0 and 1 are equal"),
        ({"maxConcurrentTransfers": 0}, "at '/maxConcurrentTransfers': minimum: got 0, want 1"),
        ({"maxConcurrentBootTests": 0}, "at '/maxConcurrentBootTests': minimum"),
        ({"maxConcurrentTransfer": 2}, "additional properties 'maxConcurrentTransfer' not allowed"),
        ({"scratch": {"sizeLimit": "lots"}}, "at '/scratch/sizeLimit': 'lots' does not match"),
        ({"image": {"tag": "a b"}}, "at '/image/tag': 'a b' does not match pattern"),
        ({"crds": {"install": "yes"}}, "at '/crds/install': got string, want boolean"),
        ({"podLabels": {"n": 1}}, "at '/podLabels/n': got number, want string"),
        ({"serviceAccount": {"create": False}}, "serviceAccount.name is needed when"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_bad_values_are_refused(
    helm: Helm, values_file: Callable[..., str], values: dict[str, Any], message: str
) -> None:
    done = helm("template", "x", str(CHART), "--values", values_file(values))
    assert done.returncode != 0
    assert message in done.stderr
