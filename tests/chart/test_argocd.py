"""What Argo CD learns about our kinds, run by the Lua version that it embeds: 5.1."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from lupa import lua51

from cloudimage.api.kinds import KINDS
from testbed.kubernetes import binaries
from testbed.paths import REPOSITORY

ARGOCD = REPOSITORY / "manifests" / "argocd"
CUSTOMIZATIONS = ARGOCD / "health" / "resource_customizations" / "cloudimage.dev"
CASES = [
    pytest.param(folder, case, id=f"{folder.name}: {case['inputPath']}")
    for folder in sorted(CUSTOMIZATIONS.iterdir())
    for case in yaml.safe_load((folder / "health_test.yaml").read_text())["tests"]
]


def health(folder: Path, body: dict[str, Any]) -> dict[str, str]:
    """Run a health script as Argo CD does: the object is the global ``obj``."""
    lua = lua51.LuaRuntime(register_eval=False, unpack_returned_tuples=True)
    lua.globals().obj = lua.table_from(body, recursive=True)
    return dict(lua.execute((folder / "health.lua").read_text()))


@pytest.mark.parametrize(("folder", "case"), CASES)
def test_health(folder: Path, case: dict[str, Any]) -> None:
    body = yaml.safe_load((folder / case["inputPath"]).read_text())
    assert body["kind"] == folder.name
    assert health(folder, body) == case["healthStatus"]


def test_every_kind_has_its_health_and_every_input_its_case() -> None:
    assert {each.name for each in CUSTOMIZATIONS.iterdir()} == {kind.name for kind in KINDS}
    for folder in CUSTOMIZATIONS.iterdir():
        cases = yaml.safe_load((folder / "health_test.yaml").read_text())["tests"]
        inputs = {f"testdata/{each.name}" for each in (folder / "testdata").iterdir()}
        assert {each["inputPath"] for each in cases} == inputs


def test_the_inputs_are_objects_of_ours() -> None:
    for kind in KINDS:
        for path in (CUSTOMIZATIONS / kind.name / "testdata").iterdir():
            body = yaml.safe_load(path.read_text())
            identity = {"uid": "1", "resourceVersion": "1"}
            kind.model.model_validate(body | {"metadata": body["metadata"] | identity})


def built(folder: Path) -> list[dict[str, Any]]:
    program = binaries.ensure("kubectl")["kubectl"]
    command = [str(program), "kustomize", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def test_the_component_adds_both_scripts_to_argocds_own_settings(tmp_path: Path) -> None:
    settings = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "argocd-cm", "namespace": "argocd"},
        "data": {"url": "https://argocd.example.org"},
    }
    (tmp_path / "cm.yaml").write_text(yaml.safe_dump(settings))
    # kustomize takes no absolute path.
    component = Path("..") / ".." / ".." / ".." / ".." / (ARGOCD / "health").relative_to("/")
    while not (tmp_path / component).resolve().samefile(ARGOCD / "health"):
        component = Path("..") / component
    (tmp_path / "kustomization.yaml").write_text(
        yaml.safe_dump({"resources": ["cm.yaml"], "components": [str(component)]})
    )
    [merged] = built(tmp_path)
    assert merged["data"] == settings["data"] | {
        f"resource.customizations.health.cloudimage.dev_{kind.name}": (
            CUSTOMIZATIONS / kind.name / "health.lua"
        ).read_text()
        for kind in KINDS
    }


def test_the_example_comes_in_waves_each_of_which_needs_the_one_before() -> None:
    waves = {
        each["kind"]: int(each["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"])
        for each in built(ARGOCD / "example")
    }
    assert waves == {"ExternalSecret": 0, "CloudImage": 1, "ImageShare": 2}
