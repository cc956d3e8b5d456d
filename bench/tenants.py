"""What a tenant with Secrets, clouds and servers of their own does to another one's image."""

import json
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.fleet import kubernetes_bed
from bench.pod import pod_resources
from bench.results import Bar, Limit
from bench.rig import Rig
from bench.scale import Scale
from support.hostile_cloud import GLANCE, LOGIN, SLOW, HostileCloud
from support.namespaces import Namespace, condition_of
from testbed.images import sha256_of
from testbed.kubernetes import Cluster
from testbed.operator import Operator, install_crds
from testbed.sources import Sources

_PATIENCE_SECONDS: Final = 600.0
_HARM_SECONDS: Final = 15.0
"""For the hostile objects to be at work."""
_DRIPS: Final = 70
"""Objects whose cloud drips: more than there are workers."""
_TRANSFERS: Final = 20
"""Objects of each hostile server: more than there are places for transfers."""
_SERVERS: Final = ("rate=8192", "fault=endless", "fault=drip&seconds=0.2", "fault=loop")
_BOMBS: Final = {
    "aliases": "clouds:\n  a: &a [x, x]\n  b: &b [*a, *a]\n  x: [*b, *b]\n",
    "brackets": "[" * 20000,
    "hook": "clouds: {x: {vendor_hook: 'sys:exit'}}",
    "long": "#" * 2**19,
}


def tenants(rig: Rig, scale: Scale) -> Bar:
    """One image after the other, alone, and then beside a hostile namespace."""
    bar = Bar(
        "tenants",
        "a qcow2's URL to Ready, alone and beside a hostile namespace of the same operator: Secrets"
        " that are bombs, clouds that never end, drip or lie, servers that are slow or never end",
    )
    source = rig.image("qcow2", scale.virtual // 4, scale.data // 4, compress=True)
    repeats = range(2 * scale.repeats)
    with (
        kubernetes_bed() as cluster,
        _namespaces(cluster, rig.folder / "tenants") as (hostile, good),
        rig.served(source) as url,
        HostileCloud() as cloud,
        _elsewhere(rig, source) as hostile_url,
    ):
        good.put_secret(rig.openstack)
        digest = sha256_of(source)
        _seconds(good, url, digest)  # what is made once is no part of it
        alone = [_seconds(good, url, digest) for _ in repeats]
        hostile.put_secret(rig.openstack)
        count = _harm(hostile, hostile_url, cloud)
        time.sleep(_HARM_SECONDS)
        beside = [_seconds(good, url, digest) for _ in repeats]
        if not cloud.log or not hostile.operator.transfers():
            raise RuntimeError("the hostile namespace did no harm meanwhile")
    bar.seconds = {"alone, mean": sum(alone) / len(alone), "alone, slowest": max(alone)}
    bar.seconds |= {
        f"beside {count} hostile objects, mean": sum(beside) / len(beside),
        f"beside {count} hostile objects, slowest": max(beside),
    }
    bar.limits = [Limit("mean beside them / mean alone", sum(beside) / sum(alone), 1.25)]
    return bar


@contextmanager
def _elsewhere(rig: Rig, source: Path) -> Iterator[str]:
    """Serve the file from the attacker's server, whose work is not this machine's.

    It gets what the processor has to spare.
    """
    sources = Sources(rig.folder / "hostile-sources")
    sources.up()
    try:
        for _, pid, _ in sources.status():
            os.sched_setscheduler(pid or 0, os.SCHED_IDLE, os.sched_param(0))
        yield sources.put(source.name, source)
    finally:
        sources.down()


@contextmanager
def _namespaces(cluster: Cluster, folder: Path) -> Iterator[tuple[Namespace, Namespace]]:
    """Yield two namespaces of one operator that runs with the chart's own settings."""
    install_crds(cluster)
    hostile, good = cluster.new_namespace("hostile"), cluster.new_namespace("good")
    operator = Operator(cluster, hostile, folder, {"watchNamespaces": [hostile, good]})
    operator.install()
    operator.start(CLOUDIMAGE_NAMESPACES=f"{hostile},{good}")
    process = operator.service.process()
    if process is None:
        raise RuntimeError("unreachable: it was just started")
    namespace = Namespace.of(operator)
    with pod_resources(process.pid):
        try:
            yield namespace, namespace.beside(good)
        finally:
            operator.stop()


def _seconds(namespace: Namespace, url: str, digest: str) -> float:
    """Return the seconds from the creation of an object to its image, which goes again."""
    name = f"image-{uuid.uuid4().hex[:8]}"
    begin = time.monotonic()
    namespace.create(name, url, digest, {"diskFormat": "raw"})
    namespace.wait(
        name,
        lambda resource: (condition_of(resource, "Ready") or [""])[0] == "True",
        _PATIENCE_SECONDS,
    )
    seconds = time.monotonic() - begin
    namespace.delete(name)
    namespace.wait_gone(name)
    return seconds


def _harm(namespace: Namespace, url: str, cloud: HostileCloud) -> int:
    """Create objects that do all the harm there is; return how many."""
    entries = {mode: cloud.options(mode) for mode in (*LOGIN, *SLOW, *GLANCE)}
    _put(namespace, "clouds", json.dumps({"clouds": entries}))
    refs = [("clouds", mode) for mode in (*entries, *["drip"] * _DRIPS)]
    for name, text in _BOMBS.items():
        _put(namespace, name, text)
        refs.append((name, "x"))
    # The servers first: the clouds take all the workers that the namespace may have.
    for number in range(_TRANSFERS):
        for kind, query in enumerate(_SERVERS):
            namespace.create(f"server-{kind}-{number}", f"{url}?{query}&key=hostile-{number}")
    time.sleep(_HARM_SECONDS)
    for number, (secret, entry) in enumerate(refs):
        ref = {"secretName": secret, "cloudName": entry}
        namespace.create(f"cloud-{number}", url, cloudCredentialsRef=ref)
    return len(refs) + _TRANSFERS * len(_SERVERS)


def _put(namespace: Namespace, name: str, text: str) -> None:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "stringData": {"clouds.yaml": text},
    }
    namespace.cluster.run_kubectl(
        "create", "-n", namespace.name, "-f", "-", stdin=json.dumps(secret)
    )
