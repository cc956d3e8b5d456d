"""Faults of the operator's own: the operator goes on, and the object says what happened."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.namespaces import Namespace, said
from support.shares import Shares
from testbed.images import sha256_of
from testbed.kubernetes import Cluster
from testbed.openstack import OpenStack
from testbed.operator import Operator
from testbed.sources import Sources

pytestmark = [pytest.mark.cluster, pytest.mark.cloud]

BROKEN = """
import builtins
import sys
if "run" in sys.orig_argv:
    from cloudimage.credentials import loader
    from cloudimage.shares import reconciler
    from cloudimage.runners.child import ChildRunner

    def breaking(function):
        def call(kube, resource, *rest):
            name = resource.metadata.annotations.get("example.org/raise")
            if name == "RecursionError":
                return call(kube, resource, *rest)
            if name:
                raise getattr(builtins, name)("password=hunter2")
            return function(kube, resource, *rest)
        return call

    def spawn():
        raise SystemExit("password=hunter2")

    def run(self, transfer, request):
        if request.image.name.endswith("-spawn"):
            spawn()
        return good(self, transfer, request)

    loader.load = breaking(loader.load)
    reconciler.find_target = breaking(reconciler.find_target)
    good, ChildRunner._run = ChildRunner._run, run
"""
"""Stands for a library that raises what it should not, where the object's annotation says so."""


@pytest.fixture(scope="module")
def broken_namespace(
    cluster: Cluster, openstack: OpenStack, crds: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Namespace]:
    """A namespace whose operator has faults."""
    folder = tmp_path_factory.mktemp("operator")
    (folder / "sitecustomize.py").write_text(BROKEN)
    operator = Operator(cluster, cluster.new_namespace("cloudimage"), folder)
    operator.install()
    operator.start(PYTHONPATH=str(folder))
    namespace = Namespace.of(operator)
    namespace.put_secret(openstack)
    yield namespace
    assert "hunter2" not in operator.log()
    operator.stop()


def annotate(namespace: Namespace, name: str, error: str | None) -> None:
    """Have the next looks at a CloudImage raise; and have it looked at."""
    annotations = {"example.org/raise": error, "cloudimage.dev/retry": str(error)}
    namespace.patch(name, {"metadata": {"annotations": annotations}})


@pytest.mark.parametrize(
    "error",
    [
        "SystemExit",
        "RecursionError",
        "GeneratorExit",
        pytest.param("MemoryError", marks=pytest.mark.slow),
        pytest.param("KeyboardInterrupt", marks=pytest.mark.slow),
        pytest.param("StopIteration", marks=pytest.mark.slow),
    ],
)
def test_a_fault_is_told_and_ends_nothing(
    broken_namespace: Namespace, sources: Sources, raw_disk: Path, unique: str, error: str
) -> None:
    namespace = broken_namespace
    url, digest = sources.put(unique, raw_disk), sha256_of(raw_disk)
    process = namespace.operator.service.process()
    namespace.create(unique, url, digest)
    namespace.wait_condition(unique, "Ready")
    annotate(namespace, unique, error)
    resource = namespace.wait_condition(unique, "Stalled", reason="InternalError")
    status, _, message = said(resource, "Stalled")
    assert status == "True"
    assert error in message
    assert "hunter2" not in message
    assert said(resource, "Ready")[0] == "True"
    assert namespace.told_once(unique, "Warning", "InternalError")
    # Others go on, and so does its deletion, which says why it cannot.
    namespace.create(f"{unique}-other", url, digest)
    namespace.wait_condition(f"{unique}-other", "Ready")
    namespace.delete(unique)
    namespace.wait_condition(unique, "DeletionBlocked", reason="InternalError")
    annotate(namespace, unique, None)
    namespace.wait_gone(unique)
    assert namespace.operator.service.process() == process
    namespace.delete(f"{unique}-other")


def test_a_new_object_and_a_share_have_conditions_after_a_fault(
    broken_namespace: Namespace, sources: Sources, raw_disk: Path, unique: str
) -> None:
    namespace, shares = broken_namespace, Shares(broken_namespace)
    url, digest = sources.put(unique, raw_disk), sha256_of(raw_disk)
    namespace.create(unique, url, digest)
    namespace.wait_condition(unique, "Ready")
    shares.create(unique, {"name": "consumer", "domain": "Default"})
    annotations = {"example.org/raise": "SystemExit", "cloudimage.dev/retry": "1"}
    shares.patch(unique, {"metadata": {"annotations": annotations}})
    shares.wait(
        unique,
        lambda share: any(
            (each.type, each.status, each.reason) == ("Stalled", "True", "InternalError")
            for each in share.status.conditions
        ),
    )
    mended = {"example.org/raise": None, "cloudimage.dev/retry": "2"}
    shares.patch(unique, {"metadata": {"annotations": mended}})
    # What follows is Keystone's answer to who may not look projects up, and not our fault.
    shares.wait(
        unique,
        lambda share: all(each.reason != "InternalError" for each in share.status.conditions),
    )
    shares.delete(unique)
    namespace.delete(unique)
    namespace.wait_gone(unique)


def test_a_transfer_that_cannot_be_run_has_an_outcome(
    broken_namespace: Namespace, sources: Sources, raw_disk: Path, unique: str
) -> None:
    name = f"{unique}-spawn"
    url = sources.put(name, raw_disk)
    broken_namespace.create(name, url, sha256_of(raw_disk))
    resource = broken_namespace.wait_condition(name, "Stalled", reason="InternalError")
    assert "SystemExit" in said(resource, "Stalled")[2]
    broken_namespace.delete(name)
    broken_namespace.wait_gone(name)
