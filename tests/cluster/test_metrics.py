"""The metrics of a whole operator, as Prometheus reads them."""

import re
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import pytest
import requests
import yaml
from prometheus_client.parser import text_string_to_metric_families

from cloudimage.codegen import metrics_page
from support.namespaces import Namespace, wait_until
from testbed.images import sha256_of
from testbed.kubernetes import Cluster
from testbed.openstack import OpenStack
from testbed.operator import Operator
from testbed.process import free_ports
from testbed.sources import Sources

pytestmark = [pytest.mark.cluster, pytest.mark.cloud]

ID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-")
AWAY = "away"

Scrape = Callable[..., float]


class Observed(NamedTuple):
    """A namespace, and a way to read one number of its operator."""

    namespace: Namespace
    url: str

    def number(self, name: str, **labels: str) -> float:
        """Return the sum of the samples that have these labels."""
        text = requests.get(self.url, timeout=30).text
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == f"cloudimage_{name}" and labels.items() <= sample.labels.items()
        )


@pytest.fixture
def observed(
    cluster: Cluster, openstack: OpenStack, crds: Cluster, tmp_path: Path
) -> Iterator[Observed]:
    """An operator that serves metrics; the cloud ``away`` is not there."""
    [port] = free_ports(1)
    operator = Operator(cluster, cluster.new_namespace("cloudimage"), tmp_path)
    operator.install()
    operator.start(CLOUDIMAGE_METRICS_ADDRESS=f"127.0.0.1:{port}")
    namespace = Namespace.of(operator)
    cloud = yaml.safe_load(openstack.clouds_yaml.read_text())["clouds"]["images"]
    dead = cloud | {"auth": cloud["auth"] | {"auth_url": "http://127.0.0.1:9/v3"}}
    namespace.put_secret(openstack, **{AWAY: dead})
    yield Observed(namespace, f"http://127.0.0.1:{port}/metrics")
    operator.stop()


NO_IMAGE = b"neither disk nor image\n" * 4096
"""Refused for good, once its checksum has proved it."""


def test_an_operators_life_is_in_its_metrics(
    observed: Observed, sources: Sources, qcow2_disk: Path, unique: str
) -> None:
    namespace, number = observed.namespace, observed.number
    url = sources.put(f"{unique}.qcow2", qcow2_disk)
    namespace.create("good", url, sha256_of(qcow2_disk))
    namespace.create("bad", sources.put(f"{unique}.text", NO_IMAGE), sha256(NO_IMAGE).hexdigest())
    ref = {"secretName": "openstack", "cloudName": AWAY}
    namespace.create("lost", url, cloudCredentialsRef=ref)
    namespace.wait_condition("good", "Ready")
    namespace.wait_condition("bad", "Stalled", reason="SourceNotAnImage")
    namespace.wait_condition("lost", "Reconciling", reason="CloudUnreachable")

    for reason in ("Available", "SourceNotAnImage"):
        assert number("transfers_total", reason=reason) == 1
    assert number("uploaded_bytes_total") == qcow2_disk.stat().st_size
    # Each stage's last progress is its whole size; both fetched, or shared what one fetched.
    assert number("transfer_bytes_total", stage="Fetching") >= qcow2_disk.stat().st_size
    assert number("transfer_stage_seconds_count", stage="Uploading") == 1
    assert number("transfers_running") == 0
    assert number("failures_total", kind="cloudimages", reason="SourceNotAnImage") == 1
    assert number("failures_total", kind="cloudimages", reason="CloudUnreachable") >= 1
    assert number("objects", kind="cloudimages") == 3
    assert number("objects", kind="imageshares") == 0
    answered = {"status": "2xx"}
    requests_ = "openstack_request_duration_seconds_count"
    assert number(requests_, service="image", method="GET", **answered) >= 1
    assert number(requests_, service="compute", method="GET", **answered) >= 1
    assert number(requests_, service="identity", method="POST", **answered) >= 1
    assert number(requests_, status="none") >= 1
    assert number("cloud_connections", state="idle") >= 1
    assert number("event_loop_lag_seconds_count") > 1
    assert number("build_info") == 1

    def stalled() -> float:
        labels = {"type": "Stalled", "status": "True", "reason": "SourceNotAnImage"}
        return number("object_conditions", kind="cloudimages", **labels)

    # The watch comes after the status.
    assert wait_until(lambda: stalled() == 1, 10)
    namespace.delete("bad")
    namespace.wait_gone("bad")
    assert wait_until(lambda: stalled() == 0, 10)
    assert number("objects", kind="cloudimages") == 2

    text = requests.get(observed.url, timeout=30).text
    assert not ID.search("".join(line for line in text.splitlines() if "{" in line))
    _has_the_documented_labels(text)


def _has_the_documented_labels(text: str) -> None:
    documented = {family.name: set(labels) for family, labels in metrics_page.described()}
    for family in text_string_to_metric_families(text):
        for sample in family.samples if family.name in documented else ():
            assert sample.labels.keys() - {"le"} == documented[family.name], sample
