"""When failures are retried: by annotation, by an edit of the spec, at the server's request."""

import hashlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import kubernetes
import pytest

from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.meta import ResourceStatus
from cloudimage.cloud.pool import ConnectionPool
from cloudimage.controller.attempts import Attempts
from cloudimage.credentials.guard import SecretGuard
from cloudimage.images.boot_logins import BootLogins
from cloudimage.images.boot_testing import BootTesting
from cloudimage.images.boot_turns import BootTurns
from cloudimage.images.following import Following
from cloudimage.images.keeping import Keeping
from cloudimage.images.reconciler import CloudImageReconciler
from cloudimage.images.resync import NoViews, Resync
from cloudimage.kube import Key, Kube, R
from cloudimage.runners.base import Transfer
from cloudimage.runners.child import ChildRunner
from cloudimage.runners.looks import Looks
from cloudimage.settings import Settings
from cloudimage.shares.consumers import Consumers
from cloudimage.transfer.contract import Failure, Reason, Stage
from support.fault_proxy import Fault, FaultProxy
from support.namespaces import Namespace, condition_of, wait_until
from testbed.images import sha256_of
from testbed.kubernetes import Cluster
from testbed.openstack import OpenStack
from testbed.operator import Operator
from testbed.sources import Sources

pytestmark = [pytest.mark.cluster, pytest.mark.cloud]

NOW = "cloudimage.dev/retry"


def annotate(namespace: Namespace, name: str, value: str) -> None:
    namespace.patch(name, {"metadata": {"annotations": {NOW: value}}})


def handled(resource: CloudImage, value: str) -> bool:
    return resource.status.last_handled_retry == value


def is_synced(resource: CloudImage) -> bool:
    return (condition_of(resource, "Synced") or ("",))[0] == "True"


NO_IMAGE = b"neither disk nor image\n" * 4096
"""Refused for good, once its checksum has proved it."""


def test_the_annotation_tries_again_what_was_given_up(
    namespace: Namespace, sources: Sources, unique: str
) -> None:
    url = sources.put(unique, NO_IMAGE)
    namespace.create(unique, url, hashlib.sha256(NO_IMAGE).hexdigest())
    stalled = namespace.wait_condition(unique, "Stalled", reason="SourceNotAnImage")
    assert NOW in (condition_of(stalled, "Stalled") or "   ")[2]
    asked = len(sources.requests(unique))
    annotate(namespace, unique, "one")
    assert wait_until(lambda: len(sources.requests(unique)) > asked, 20)
    again = namespace.wait_condition(unique, "Stalled", reason="SourceNotAnImage")
    assert handled(again, "one")
    assert again.metadata.generation == stalled.metadata.generation
    namespace.delete(unique)


def test_a_value_counts_once(namespace: Namespace, sources: Sources, unique: str) -> None:
    url = sources.put(unique, NO_IMAGE)
    namespace.create(unique, url, hashlib.sha256(NO_IMAGE).hexdigest())
    namespace.wait_condition(unique, "Stalled", reason="SourceNotAnImage")
    annotate(namespace, unique, "one")
    namespace.wait(unique, lambda each: handled(each, "one"))
    namespace.wait_condition(unique, "Stalled", reason="SourceNotAnImage")
    asked = len(sources.requests(unique))
    # Another look at it, with the same value.
    namespace.patch(unique, {"metadata": {"annotations": {"look": "again"}}})
    assert not wait_until(lambda: len(sources.requests(unique)) > asked, 5)
    namespace.delete(unique)


def test_the_annotation_and_an_edit_cut_a_pause_short(
    namespace: Namespace, sources: Sources, qcow2_disk: Path, unique: str
) -> None:
    url = sources.put(unique, qcow2_disk)
    namespace.create(unique, url, sha256_of(qcow2_disk), image={"visibility": "public"})
    namespace.wait_condition(unique, "Stalled", reason="Forbidden")
    # The pauses are of 16 seconds at least: both have their effect within one.
    annotate(namespace, unique, "one")
    namespace.wait(unique, lambda each: handled(each, "one"), seconds=15)
    namespace.wait_condition(unique, "Stalled", reason="Forbidden")
    namespace.patch(unique, {"spec": {"image": {"visibility": "private"}}})
    namespace.wait(unique, is_synced, seconds=15)
    namespace.delete(unique)


@dataclass(frozen=True)
class MeddledKube(Kube):
    """Somebody else changes an object just before its status is written, as often as asked."""

    times: list[int] = field(default_factory=list)

    def write_status(self, resource: R, status: ResourceStatus) -> R:
        """Write the status, too late perhaps."""
        if self.times:
            self.times.pop()
            body = {"metadata": {"annotations": {"seen": str(datetime.now(UTC))}}}
            address = ("cloudimage.dev", "v1alpha1", resource.metadata.namespace, "cloudimages")
            self._objects.patch_namespaced_custom_object(*address, resource.metadata.name, body)
        return super().write_status(resource, status)


@dataclass(frozen=True)
class Bench:
    """A reconciler in this process, whose delays can be seen."""

    namespace: Namespace
    reconciler: CloudImageReconciler
    kube: MeddledKube
    runner: ChildRunner

    def look(self, name: str) -> float | None:
        """Have it look at an object once."""
        return self.reconciler(Key(self.namespace.name, name))

    def fail_once(self, name: str) -> Transfer:
        """Have the object's transfer begin and come to its end, and return it."""
        self.look(name)
        resource = self.namespace.get(name)
        assert resource is not None
        transfer = self.runner.view(resource.metadata.uid)
        assert transfer is not None
        assert wait_until(lambda: transfer.outcome is not None, 20)
        return transfer


FAILURE = Failure(reason=Reason.SOURCE_UNREACHABLE, message="no answer", stage=Stage.FETCHING)


@pytest.fixture
def bench(cluster: Cluster, crds: Cluster, openstack: OpenStack, tmp_path: Path) -> Iterator[Bench]:
    """A namespace without an operator but for the reconciler of the test."""
    namespace = Namespace.of(Operator(cluster, cluster.new_namespace("retry"), tmp_path))
    namespace.put_secret(openstack)
    kube = MeddledKube(kubernetes.config.new_client_from_config(str(cluster.kubeconfig)))
    # Each transfer fails as told, at once.
    program = f"head -n 1 > /dev/null; echo '{FAILURE.model_dump_json()}'"
    command = ("/bin/sh", "-c", program)

    def spawn() -> subprocess.Popen[bytes]:
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    runner = ChildRunner(1, spawn=spawn)
    settings = Settings(scratch=tmp_path)
    clouds, attempts = ConnectionPool(), Attempts(kube, SecretGuard(kube))
    tests = BootTesting(
        attempts.status,
        BootTurns(1, lambda _: None),
        BootLogins(1, settings.cloud_policy),
        lambda _: None,
    )
    keeping = Keeping(attempts.status, Consumers(kube, clouds), tests)
    looks = Looks(spawn)
    following = Following(kube, looks, settings, attempts.status, lambda _: None)
    resync = Resync(settings, NoViews())
    reconciler = CloudImageReconciler(
        kube, attempts, runner, following, settings, clouds, keeping, resync, lambda _: None
    )
    yield Bench(namespace, reconciler, kube, runner)
    runner.stop()


def test_a_failure_that_could_not_be_written_counts_once(bench: Bench, unique: str) -> None:
    bench.namespace.create(unique, "http://127.0.0.1:9/image")
    bench.fail_once(unique)
    bench.kube.times.extend(range(3))
    for _ in range(3):
        assert bench.look(unique) == 0.5, "the object changed meanwhile"
    delay = bench.look(unique)
    assert delay is not None
    assert 4 <= delay <= 6, "the first pause of a source, and no later one"


def test_what_failed_for_the_spec_before_an_edit_is_tried_by_the_new_one(
    bench: Bench, unique: str
) -> None:
    bench.namespace.create(unique, "http://127.0.0.1:9/image")
    failed = bench.fail_once(unique)
    bench.namespace.patch(unique, {"spec": {"image": {"name": "another"}}})
    bench.look(unique)
    resource = bench.namespace.get(unique)
    assert resource is not None
    assert condition_of(resource, "Stalled") is None
    again = bench.runner.view(resource.metadata.uid)
    assert again is not None
    assert again is not failed


def test_a_busy_cloud_gets_the_time_it_asks_for(
    bench: Bench, openstack: OpenStack, unique: str
) -> None:
    wait = (("Retry-After", "400"),)
    busy = Fault("GET", "os_hidden=false", "answer", status=503, headers=wait, times=99)
    glance: Any = openstack.connect("images").image.get_endpoint()
    with FaultProxy(glance, busy) as proxy:
        entry: dict[str, Any] = openstack.cloud("images")
        busy_one = entry | {"image_endpoint_override": proxy.url}
        bench.namespace.put_secret(openstack, busy=busy_one)
        ref = {"secretName": "openstack", "cloudName": "busy"}
        bench.namespace.create(unique, "http://127.0.0.1:9/image", cloudCredentialsRef=ref)
        delay = bench.look(unique)
    assert delay is not None
    assert 400 <= delay <= 480
    resource = bench.namespace.get(unique)
    assert resource is not None
    assert resource.status.cloud_unreachable_since is not None
