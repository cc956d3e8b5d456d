"""Helm, run as a user would, without that user's settings."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from testbed.kubernetes import binaries
from testbed.paths import REPOSITORY

CHART = REPOSITORY / "helm" / "cloudimage-operator"

Objects = list[dict[str, Any]]
Helm = Callable[..., subprocess.CompletedProcess[str]]
Render = Callable[..., Objects]
Kustomize = Callable[[Path], Objects]


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """Run helm without the caches, plugins and repositories of whoever runs the tests."""
    program = binaries.ensure("helm")["helm"]
    home = tmp_path_factory.mktemp("helm")
    names = ("HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME", "HOME")
    env = {name: str(home) for name in names}

    def run(*args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, *args], env=env, capture_output=True, text=True, check=False
        )

    return run


@pytest.fixture
def values_file(tmp_path: Path) -> Callable[[dict[str, Any]], str]:
    """Write values as a user's file of them."""

    def write(values: dict[str, Any]) -> str:
        path = tmp_path / "values.json"
        path.write_text(json.dumps(values))
        return str(path)

    return write


@pytest.fixture
def render(helm: Helm, values_file: Callable[[dict[str, Any]], str]) -> Render:
    """Render the chart with values, as ``helm install`` would."""

    def run(**values: Any) -> Objects:
        values = {"image": {"repository": "cloudimage-operator"}, **values}
        done = helm(
            *("template", "cloudimage-operator", str(CHART), "--namespace", "cloudimage-system"),
            *("--values", values_file(values)),
        )
        assert done.returncode == 0, done.stderr
        return [each for each in yaml.safe_load_all(done.stdout) if each]

    return run


@pytest.fixture(scope="session")
def kustomize() -> Kustomize:
    """Build a folder, as ``kubectl apply -k`` would."""
    program = binaries.ensure("kubectl")["kubectl"]

    def run(folder: Path) -> Objects:
        command = [program, "kustomize", folder]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return list(yaml.safe_load_all(done.stdout))

    return run
