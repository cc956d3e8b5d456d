"""A cluster with a node, and the operator in it as the chart runs it."""

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.namespaces import Namespace
from support.releases import CHART, RELEASE, Helm
from testbed.container_image import REPOSITORY_NAME
from testbed.kubernetes import KubectlError, docker, network, traces
from testbed.kubernetes.kind import Kind
from testbed.kubernetes.whole import WholeKubernetes
from testbed.openstack import OpenStack
from testbed.openstack.site import Site
from testbed.sources import Sources

SYSTEM = "cloudimage-system"
POD_USER = (65532, 65532)
IMAGE = ("--set", f"image.repository={REPOSITORY_NAME}")


@dataclass
class Pod:
    """The operator as the chart runs it."""

    cluster: WholeKubernetes | Kind
    namespace: str

    def log(self) -> str:
        """Return what it has logged; nothing where it is not installed."""
        logs = ("logs", f"deployment/{RELEASE}", "-n", SYSTEM, "--tail=-1")
        with contextlib.suppress(KubectlError):
            return self.cluster.run_kubectl(*logs)
        return ""

    def run(self, *words: str) -> str:
        """Run a command in it, as its user."""
        return self.cluster.run_kubectl("exec", f"deployment/{RELEASE}", "-n", SYSTEM, "--", *words)


@dataclass
class Platform:
    """A cluster with the operator, and the cloud and the source beside it, as pods see them."""

    cluster: WholeKubernetes | Kind
    helm: Helm
    openstack: OpenStack
    sources: Sources

    def release(self, chart: Path = CHART, *options: str) -> None:
        """Install or upgrade the release, and wait for its pod."""
        allowed = f"urlPolicy.allowNetworks={{{self.cluster.host}/32}}"
        words = ("upgrade", "--install", RELEASE, str(chart), "--set", allowed, *IMAGE)
        self.helm(*words, "--wait", "--timeout", "120s", *options)

    @contextlib.contextmanager
    def changed(self, chart: Path, *options: str) -> Iterator[None]:
        """Change the release for a while."""
        self.release(chart, *options)
        try:
            yield
        finally:
            self.release()

    def stop(self) -> None:
        """Have the operator run in no pod until the next release."""
        kubectl = self.cluster.run_kubectl
        kubectl("scale", f"deployment/{RELEASE}", "-n", SYSTEM, "--replicas=0")
        kubectl("wait", "pod", "-n", SYSTEM, "--all", "--for=delete", "--timeout=90s")

    def namespace(self) -> Namespace:
        """Make a namespace with the credentials, where pods keep to the strictest standard."""
        name = self.cluster.new_namespace("images")
        self.enforce(name)
        namespace = Namespace.of(Pod(self.cluster, name))  # type: ignore[arg-type]  # what it takes of an Operator, this has
        known = yaml.safe_load(self.openstack.clouds_yaml.read_text())["clouds"]
        clouds: dict[str, Any] = {name: self._as_pods_see(cloud) for name, cloud in known.items()}
        namespace.put_secret(self.openstack, **clouds)
        return namespace

    def enforce(self, namespace: str) -> None:
        """Have the restricted Pod Security Standard enforced in a namespace."""
        label = "pod-security.kubernetes.io/enforce=restricted"
        self.cluster.run_kubectl("label", "namespace", namespace, label)

    def claim(self, namespace: Namespace, name: str, folder: Path) -> None:
        """Make a PersistentVolumeClaim of a folder of this machine, which the kubelet mounts."""
        for each in (folder, *folder.parents[:2]):
            each.chmod(0o755)  # pytest's folders are their owner's alone
        os.chown(folder, *POD_USER)
        size, modes = {"storage": "1Gi"}, ["ReadWriteOnce"]
        common: dict[str, Any] = {"accessModes": modes, "storageClassName": ""}
        volume = {
            "capacity": size,
            "hostPath": {"path": str(folder), "type": "Directory"},
            "claimRef": {"namespace": namespace.name, "name": name},
        }
        claim = {"volumeName": f"{namespace.name}-{name}", "resources": {"requests": size}}
        for kind, of, spec in (
            ("PersistentVolume", f"{namespace.name}-{name}", volume),
            ("PersistentVolumeClaim", name, claim),
        ):
            meta = {"apiVersion": "v1", "kind": kind, "metadata": {"name": of}}
            apply = ("apply", "-n", namespace.name, "-f", "-")
            self.cluster.run_kubectl(*apply, stdin=json.dumps(meta | {"spec": spec | common}))

    def put(self, name: str, content: Path, **wish: Any) -> str:
        """Put a file on the source server and return the URL that pods use."""
        self.sources.put(name, content)
        return self._rewritten(self.sources.url(name, **wish))

    def _as_pods_see(self, cloud: dict[str, Any]) -> dict[str, Any]:
        """Return an entry of clouds.yaml for pods: the catalogue's addresses are this machine's."""
        site = Site.load(self.openstack.folder)
        assert site is not None
        overrides = {
            f"{kind}_endpoint_override": self._rewritten(site.url(name)) + path
            for kind, name, path in (
                ("identity", "keystone", "/v3"),
                ("image", "glance", ""),
                ("compute", "nova", "/v2.1"),
                ("block_storage", "cinder", "/v3"),
            )
        }
        entry: dict[str, Any] = json.loads(self._rewritten(json.dumps(cloud)))
        return entry | overrides

    def _rewritten(self, text: str) -> str:
        return text.replace("127.0.0.1", self.cluster.host)


@contextlib.contextmanager
def node_cluster() -> Iterator[WholeKubernetes]:
    """A cluster with a node of our own, there for these tests alone."""
    if missing := WholeKubernetes.missing():
        pytest.skip(f"a node of our own needs {missing}; --cluster=kind needs Docker instead")
    bed = WholeKubernetes()
    with bed.lock:
        bed.install()
        bed.down()  # what a run that was killed has left
        with _left_as_it_was():
            try:
                bed.up()
                yield bed
            finally:
                bed.down()
    assert list(traces.mounts(bed.folder)) == []


@contextlib.contextmanager
def kind_cluster() -> Iterator[Kind]:
    """The session's cluster of kind; where only these tests use it, it is gone after them."""
    kind = Kind.new()
    alone = not kind.kubeconfig.exists() and not {"KEEP", "PYTEST_XDIST_WORKER"} & os.environ.keys()
    if not alone:
        kind.up()
        yield kind
        return
    with _left_as_it_was():
        try:
            kind.up()
            yield kind
        finally:
            kind.down()
    assert kind.docker.left() == []


@contextlib.contextmanager
def _left_as_it_was() -> Iterator[None]:
    """Expect of this machine, at the end, the links, rules and settings of the beginning."""
    links, rules, settings = _links(), network.rules(), _settings()
    yield
    assert _links() <= links
    assert [rule for rule in network.rules() if rule not in rules] == []
    assert _settings() == settings


def _links() -> set[str]:
    return {path.name for path in Path("/sys/class/net").iterdir()}


def _settings() -> dict[str, str]:
    paths = (Path("/proc/sys") / name for name in docker.SYSCTLS)
    return {str(path): path.read_text() for path in paths if path.exists()}
