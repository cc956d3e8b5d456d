"""The chart, installed and upgraded by the pinned helm."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

from testbed.kubernetes import Cluster
from testbed.paths import REPOSITORY

CHART = REPOSITORY / "helm" / "cloudimage-operator"
PREVIOUS_CHART = REPOSITORY / "tests" / "cluster" / "charts" / "cloudimage-operator-0.0.3.tgz"
"""The chart as it was before ImageShares: what an upgrade starts from."""
RELEASE = "cloudimage-operator"
IMAGE = "registry.example.org/cloudimage-operator"
_RENDERING = frozenset({"install", "template", "upgrade"})


class Helm:
    """The pinned helm, against one cluster and one namespace, without its user's settings."""

    def __init__(self, cluster: Cluster, namespace: str, home: Path) -> None:
        self.namespace = namespace
        self._program = cluster.helm
        names = ("HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME")
        kubeconfig = {"KUBECONFIG": str(cluster.kubeconfig)}
        self._env = {**os.environ, **kubeconfig, **{name: str(home) for name in names}}

    def __call__(self, *args: str) -> str:
        """Run it and return what it printed."""
        action, *others = args
        image = ("--set", f"image.repository={IMAGE}") if action in _RENDERING else ()
        command = [str(self._program), "--namespace", self.namespace, action, *image, *others]
        done = subprocess.run(command, env=self._env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


def later_chart(folder: Path) -> Path:
    """Return the chart as a later version of it: with one field more in the CRD."""
    chart = folder / CHART.name
    shutil.copytree(CHART, chart)
    template = chart / "templates" / "crds" / "cloudimage.dev_cloudimages.yaml"
    first, *lines, last = template.read_text().splitlines()
    crd: dict[str, Any] = yaml.safe_load("\n".join(lines))
    [version] = crd["spec"]["versions"]
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    field = {"type": "string", "maxLength": 9}
    spec["properties"]["image"]["properties"]["later"] = field
    template.write_text("\n".join((first, yaml.safe_dump(crd), last)))
    return chart
