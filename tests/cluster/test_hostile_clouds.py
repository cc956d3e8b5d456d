"""Secrets and clouds of a hostile tenant, on the running operator: they harm that tenant alone."""

import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.hostile_cloud import SECRET, HostileCloud
from support.namespaces import SECRET as SECRET_NAME
from support.namespaces import Namespace, said, wait_until
from testbed.images import disk, sha256_of
from testbed.openstack import OpenStack
from testbed.sources import Sources

pytestmark = [pytest.mark.cluster, pytest.mark.cloud]

MEMORY = 256 * 2**20
"""What all of it together may cost the operator; each attack took gigabytes before."""

INLINE = "{auth_url: 'http://127.0.0.1:9/v3', username: u, password: p, project_name: p}"
LEVELS = "".join(
    f"    b{n}: &b{n} {{{', '.join(f'k{k}: *b{n - 1}' for k in range(8))}}}\n" for n in range(1, 8)
)
SECRETS = {
    "hook": f"clouds: {{x: {{auth: {INLINE}, vendor_hook: 'sys:exit'}}}}",
    "handler": f"clouds: {{x: {{auth: {INLINE}, vendor_hook: 'logging:root.addHandler'}}}}",
    "verify": f"clouds: {{x: {{auth: {INLINE}, verify: /etc/passwd}}}}",
    "format": f"clouds: {{x: {{auth: {INLINE}, region_name: '{{auth_type:>700000000}}'}}}}",
    "aliases": f"clouds:\n  x:\n    auth: {INLINE}\n    b0: &b0 {{x: y}}\n{LEVELS}",
    "brackets": "[" * 20_000,
    "large": "#" * 900_000,
    "number": f"clouds: {{x: {{auth: {INLINE.replace('password: p', 'password: 12345')}}}}}",
}
CLOUDS = {
    "endless": {"CloudError"},
    "endless-continue": {"CloudError", "CloudUnreachable"},
    "deep": {"CloudError"},
    "gzip": {"CloudError"},
    "loop": {"CloudError"},
    "same-page": {"CloudError"},
    "moved": {"CloudMisconfigured"},
    "metadata": {"CloudRefused"},
    "banner": {"CloudUnreachable"},
    "inner-text": {"Forbidden"},
    "inner-json": {"Forbidden"},
}


@pytest.fixture(scope="module")
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("images") / "small.qcow2"
    return disk(path, "qcow2", virtual_size=4 << 20, data_bytes=1 << 20, seed=12)


@pytest.fixture
def hostile() -> Iterator[HostileCloud]:
    with HostileCloud() as cloud:
        yield cloud


def put_text(namespace: Namespace, name: str, text: str) -> None:
    """Create a Secret with that very text as clouds.yaml."""
    body: Any = {"metadata": {"name": name}, "stringData": {"clouds.yaml": text}}
    namespace.core.create_namespaced_secret(namespace.name, body)


def memory(namespace: Namespace) -> int:
    process = namespace.operator.service.process()
    assert process is not None, namespace.operator.log()[-2000:]
    return int(process.memory_info().rss)


class Tenant:
    """Makes CloudImages, and looks at what became of them."""

    def __init__(self, namespace: Namespace, sources: Sources, path: Path) -> None:
        self._namespace, self._sources, self._path = namespace, sources, path

    def create(self, name: str, secret: str = SECRET_NAME, cloud: str = "images") -> None:
        """Create a CloudImage of a small disk by a Secret and a cloud."""
        url = self._sources.put(name, self._path)
        ref = {"secretName": secret, "cloudName": cloud}
        self._namespace.create(name, url, sha256_of(self._path), cloudCredentialsRef=ref)

    def reason(self, name: str) -> str | None:
        """Return the reason of its condition Ready."""
        resource = self._namespace.get(name)
        ready = [] if resource is None else resource.status.conditions
        return next((each.reason for each in ready if each.type == "Ready"), None)

    def comes_to(self, name: str, reasons: Collection[str]) -> bool:
        """Wait until it has one of these reasons; tell whether it came to that in time."""
        return wait_until(lambda: self.reason(name) in reasons, 90)


@pytest.fixture
def tenant(own_namespace: Namespace, sources: Sources, small_disk: Path) -> Tenant:
    return Tenant(own_namespace, sources, small_disk)


def test_secrets_that_did_harm_are_refused_by_name(
    own_namespace: Namespace, tenant: Tenant
) -> None:
    before, process = memory(own_namespace), own_namespace.operator.service.process()
    for name, text in SECRETS.items():
        put_text(own_namespace, name, text)
        tenant.create(name, name, "x")
    for name in SECRETS:
        stalled = own_namespace.wait_condition(name, "Stalled", reason="InvalidCloudsYaml")
        message = said(stalled, "Stalled")[2]
        assert len(message) < 1000, name
    for name, words in {
        "hook": "sets vendor_hook",
        "verify": "sets verify",
        "format": "sets region_name",
        "number": "put it in quotes",
    }.items():
        resource = own_namespace.get(name)
        assert resource is not None
        assert words in said(resource, "Stalled")[2]
    tenant.create("good")
    own_namespace.wait_condition("good", "Ready")
    assert own_namespace.operator.service.process() == process, "it never ended"
    assert memory(own_namespace) - before < MEMORY


def test_clouds_that_did_harm_end_with_a_reason_and_nothing_of_inner_words(
    own_namespace: Namespace, tenant: Tenant, hostile: HostileCloud
) -> None:
    before, process = memory(own_namespace), own_namespace.operator.service.process()
    entries = {mode: hostile.options(mode) for mode in CLOUDS}
    put_text(own_namespace, "hostile", yaml.safe_dump({"clouds": entries}))
    for mode in CLOUDS:
        tenant.create(mode, "hostile", mode)
    tenant.create("good")
    own_namespace.wait_condition("good", "Ready")
    peak = 0
    for mode, reasons in CLOUDS.items():
        assert tenant.comes_to(mode, reasons), (mode, tenant.reason(mode))
        peak = max(peak, memory(own_namespace))
    assert peak - before < MEMORY
    assert own_namespace.operator.service.process() == process
    told = [own_namespace.get(mode) for mode in CLOUDS]
    assert SECRET not in json.dumps([each.status.to_json() for each in told if each])
    assert SECRET not in own_namespace.operator.log()
    assert not [path for _, path, _ in hostile.log if "secret" in path or "latest" in path]


@pytest.mark.slow
def test_clouds_that_drip_hold_a_worker_for_a_minute_at_most(
    own_namespace: Namespace, openstack: OpenStack, tenant: Tenant, hostile: HostileCloud
) -> None:
    modes = ("drip", "drip-headers", "drip-continue", "drip-chunks")
    entries = {mode: hostile.options(mode) for mode in modes}
    put_text(own_namespace, "hostile", yaml.safe_dump({"clouds": entries}))
    for mode in modes:
        tenant.create(mode, "hostile", mode)
    for mode in modes:
        assert tenant.comes_to(mode, {"CloudUnreachable"}), (mode, tenant.reason(mode))
    tenant.create("good")
    own_namespace.wait_condition("good", "Ready")
