"""The command ``cloudimage plan`` as its tests run it."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from cloudimage.api.names import API_VERSION
from support.namespaces import SECRET, Namespace

PROBE = "cloudimage plan (to be deleted)"


def manifest(name: str, url: str, image: dict[str, Any] | None = None, **spec: Any) -> Any:
    """Return a CloudImage as a user writes it; ``checksum`` goes into its source."""
    http = {"url": url} | ({"checksum": spec.pop("checksum")} if "checksum" in spec else {})
    return {
        "apiVersion": API_VERSION,
        "kind": "CloudImage",
        "metadata": {"name": name},
        "spec": {
            "cloudCredentialsRef": {"secretName": SECRET, "cloudName": "images"},
            "source": {"http": http},
            "image": image or {},
            **spec,
        },
    }


def sha256(path: Path) -> dict[str, str]:
    return {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


class Planner:
    """Runs the command in a namespace, as its user does."""

    def __init__(self, namespace: Namespace, folder: Path) -> None:
        self._namespace = namespace
        self._folder = folder

    def run(
        self, documents: list[Any], *words: str, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run it on documents from standard input."""
        where = ("-n", self._namespace.name)
        return subprocess.run(
            [sys.executable, "-m", "cloudimage", "plan", "-f", "-", *where, *words],
            env={
                **os.environ,
                "KUBECONFIG": str(self._namespace.cluster.kubeconfig),
                "XDG_CACHE_HOME": str(self._folder),
                **environment,
            },
            input=yaml.safe_dump_all(documents),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def __call__(
        self, document: Any, *words: str, **environment: str
    ) -> tuple[int, dict[str, Any]]:
        """Plan one document; return the exit status and the findings by what they are of."""
        done = self.run([document], "-o", "json", *words, **environment)
        assert "Traceback" not in done.stderr, done.stderr
        assert done.stdout, done.stderr
        [plan] = json.loads(done.stdout)
        return done.returncode, {each["what"]: each for each in plan["findings"]}

    def apply(self, document: Any) -> None:
        """Apply the document for good."""
        words = ("apply", "-n", self._namespace.name, "-f", "-")
        self._namespace.cluster.run_kubectl(*words, stdin=json.dumps(document))
