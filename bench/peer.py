"""The bar against k-orc's openstack-resource-controller, built from its own Go module."""

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from itertools import product
from pathlib import Path
from typing import Any, Final

import psutil
from kubernetes.client import ApiException

from bench.fleet import kubernetes_bed
from bench.results import Bar, Limit
from bench.rig import Rig
from bench.scale import GIB, Scale
from bench.watch import cpu_seconds
from cloudimage.transfer.contract import Checksum
from support.namespaces import SECRET, Namespace, condition_of, wait_until
from testbed.commands import run
from testbed.images import digest_of
from testbed.kubernetes import Cluster, toolchain
from testbed.operator import Operator
from testbed.paths import cache_dir
from testbed.process import Service, answers, free_ports

_MODULE: Final = "github.com/k-orc/openstack-resource-controller/v2"
_VERSION: Final = "v2.6.0"
_API: Final = ("openstack.k-orc.cloud", "v1alpha1", "images")
_PATIENCE_SECONDS: Final = 300.0

Made = Callable[[Checksum], AbstractContextManager[None]]
"""Makes an image with a checksum, yields when it is ready, and deletes it."""


@dataclass(frozen=True)
class _Case:
    """What both sides are measured with.

    Attributes:
        algorithm: Of the checksum that the object states.
        busy: How many other processes want a processor each meanwhile.
    """

    algorithm: str
    busy: int = 0

    def __str__(self) -> str:
        return f"{self.algorithm}{f', {self.busy} others busy' if self.busy else ''}"


_IDLE: Final = _Case("sha256")
_LOADED: Final = _Case("sha256", busy=2)
_ONE_HASH: Final = _Case("sha512")


def peer(rig: Rig, scale: Scale) -> Bar:
    """A raw image with its checksum, from its creation in Kubernetes to Ready, in turns."""
    bar = Bar("peer", f"raw URL with a checksum, kubectl apply to Ready, against k-orc {_VERSION}")
    source = rig.image("raw", scale.raw // 2, scale.raw // 4)
    gib = scale.raw / 2 / GIB
    with (
        kubernetes_bed() as cluster,
        _operator(cluster, rig.folder / "ours") as namespace,
        rig.served(source) as url,
    ):
        namespace.put_secret(rig.openstack)
        with _controller(cluster, namespace.name, rig.folder / "theirs") as theirs:
            sides: dict[str, tuple[psutil.Process | None, Made]] = {
                "k-orc": (theirs, partial(_theirs, namespace, url)),
                "ours": (namespace.operator.service.process(), partial(_ours, namespace, url)),
            }
            for process, made in sides.values():
                _measured(process, made(_checksum(source, _IDLE)))  # what is done once
            for case in (_IDLE, _LOADED, _ONE_HASH):
                checksum = _checksum(source, case)
                taken: dict[str, list[tuple[float, float]]] = {side: [] for side in sides}
                with _busy(case.busy):
                    for _, side in product(range(2 * scale.repeats), sides):
                        process, made = sides[side]
                        taken[side].append(_measured(process, made(checksum)))
                bar.seconds |= _fastest(case, taken, gib)
    bar.seconds["alone: curl -T"] = min(rig.put(source, "raw") for _ in range(2 * scale.repeats))
    for algorithm in ("sha256", "sha512"):
        bar.seconds[f"alone: {algorithm}, processor time a GiB"] = _hashing(source, algorithm) / gib
    bar.limits = list(_limits(bar.seconds))
    return bar


def _fastest(
    case: _Case, taken: dict[str, list[tuple[float, float]]], gib: float
) -> dict[str, float]:
    """Return the least seconds of each side, and the least of the processor for a GiB."""
    found = {}
    for side, each in taken.items():
        found[f"{case}: {side}"] = min(seconds for seconds, _ in each)
        found[f"{case}: {side}, processor time a GiB"] = min(cpu for _, cpu in each) / gib
    return found


def _limits(seconds: dict[str, float]) -> Iterator[Limit]:
    for case, limit in ((_IDLE, 0.95), (_LOADED, 1.1)):
        ratio = seconds[f"{case}: ours"] / seconds[f"{case}: k-orc"]
        yield Limit(f"ours / k-orc, {case}", ratio, limit)
    for case, limit in ((_IDLE, 3.2), (_ONE_HASH, 2.2)):
        cpu = seconds[f"{case}: ours, processor time a GiB"]
        yield Limit(f"processor time a GiB, {case}", cpu, limit, " s")


@contextmanager
def _busy(count: int) -> Iterator[None]:
    """Have as many processes use all the processor time that they get.

    Each is in a session of its own, as each service of the bed is: the kernel shares processors
    out to sessions, as it does to pods.
    """
    words = [sys.executable, "-c", "while True: pass"]
    running = [subprocess.Popen(words, start_new_session=True) for _ in range(count)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def _checksum(path: Path, case: _Case) -> Checksum:
    value = digest_of(path, case.algorithm)
    return Checksum.model_validate({"algorithm": case.algorithm, "value": value})


def _hashing(path: Path, algorithm: str) -> float:
    """Return the processor time that the hash of a file takes, reading included."""
    begin = time.process_time()
    digest_of(path, algorithm)
    return time.process_time() - begin


def _measured(
    process: psutil.Process | None, image: AbstractContextManager[None]
) -> tuple[float, float]:
    """Return the seconds, and those of the processor, until an image is ready; it is deleted."""
    if process is None:
        raise RuntimeError("unreachable: it was just started")
    os.sync()
    before, begin = cpu_seconds([process.pid]), time.monotonic()
    with image:
        return time.monotonic() - begin, cpu_seconds([process.pid]) - before


@contextmanager
def _operator(cluster: Cluster, folder: Path) -> Iterator[Namespace]:
    operator = Operator(cluster, cluster.new_namespace("peer"), folder)
    operator.install()
    operator.start()
    try:
        yield Namespace.of(operator)
    finally:
        operator.stop()


@contextmanager
def _controller(cluster: Cluster, namespace: str, folder: Path) -> Iterator[psutil.Process]:
    """Yield the running controller of the peer, with its CRDs."""
    go, target = toolchain.ensure(), cache_dir() / "bench" / f"k-orc-{_VERSION}"
    environment = {**toolchain.ENVIRONMENT, "CGO_ENABLED": "0"}
    answer = run(go, "mod", "download", "-json", f"{_MODULE}@{_VERSION}", env=environment)
    module = Path(json.loads(answer)["Dir"])
    if not target.exists():
        run(go, "-C", module, "build", "-o", target, "./cmd/manager", env=environment)
    crds = module / "config" / "crd" / "bases"
    cluster.run_kubectl("apply", "--server-side", "-f", str(crds))
    # Its controllers need each kind from the start; the API server serves one a moment later.
    served = ("api-resources", "--api-group", _API[0], "-o", "name")
    kinds = len(list(crds.glob("*.yaml")))
    if not wait_until(lambda: len(cluster.run_kubectl(*served).split()) == kinds, 60):
        raise RuntimeError("the API server does not serve the peer's kinds")
    [port] = free_ports(1)
    service = Service("k-orc", folder)
    probe = f"127.0.0.1:{port}"
    words = ("--namespace", namespace, "--health-probe-bind-address", probe)
    service.start([target, *words], {"KUBECONFIG": str(cluster.kubeconfig)})
    try:
        service.wait(lambda: answers(f"http://{probe}/readyz"))
        process = service.process()
        if process is None:
            raise RuntimeError("the peer's controller has ended")
        yield process
    finally:
        service.stop()


@contextmanager
def _ours(namespace: Namespace, url: str, checksum: Checksum) -> Iterator[None]:
    name = f"image-{uuid.uuid4().hex[:8]}"
    namespace.create(
        name, url, source={"http": {"url": url, "checksum": {checksum.algorithm: checksum.value}}}
    )
    namespace.wait(
        name,
        lambda resource: (condition_of(resource, "Ready") or [""])[0] == "True",
        _PATIENCE_SECONDS,
    )
    yield
    namespace.delete(name)
    namespace.wait_gone(name)


@contextmanager
def _theirs(namespace: Namespace, url: str, checksum: Checksum) -> Iterator[None]:
    name = f"image-{uuid.uuid4().hex[:8]}"
    group, version, plural = _API
    place = (group, version, namespace.name, plural)
    download = {"url": url, "hash": checksum.model_dump(mode="json")}
    body = {
        "apiVersion": f"{group}/{version}",
        "kind": "Image",
        "metadata": {"name": name},
        "spec": {
            "cloudCredentialsRef": {"secretName": SECRET, "cloudName": "images"},
            "managementPolicy": "managed",
            "resource": {"content": {"diskFormat": "raw", "download": download}},
        },
    }
    objects: Any = namespace.objects
    objects.create_namespaced_custom_object(*place, body)

    def is_available() -> bool:
        found = objects.get_namespaced_custom_object(*place, name)
        conditions = found.get("status", {}).get("conditions", [])
        return any(each["type"] == "Available" and each["status"] == "True" for each in conditions)

    if not wait_until(is_available, _PATIENCE_SECONDS):
        raise RuntimeError("the peer's image never became available")
    yield
    objects.delete_namespaced_custom_object(*place, name)
    if not wait_until(lambda: _is_gone(objects, place, name), _PATIENCE_SECONDS):
        raise RuntimeError("the peer's image never went")


def _is_gone(objects: Any, place: tuple[str, ...], name: str) -> bool:  # noqa: ANN401 - an untyped client's
    try:
        objects.get_namespaced_custom_object(*place, name)
    except ApiException as error:
        return bool(error.status == HTTPStatus.NOT_FOUND)
    return False
