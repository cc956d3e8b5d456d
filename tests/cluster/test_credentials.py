"""Clouds, ways to log in, rotation, and the Secret that stays until it is no longer needed."""

import json
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cloudimage.api.names import CREDENTIALS_FINALIZER
from support.fault_proxy import Fault, FaultProxy
from support.namespaces import Namespace, condition_of, images_of, wait_until
from testbed.images import disk, sha256_of
from testbed.kubernetes.certificates import Authority
from testbed.openstack import OpenStack
from testbed.sources import Sources

pytestmark = [pytest.mark.cluster, pytest.mark.cloud]

Create = Callable[..., None]


@pytest.fixture(scope="session")
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A qcow2 that is quickly moved."""
    path = tmp_path_factory.mktemp("images") / "small.qcow2"
    return disk(path, "qcow2", virtual_size=4 << 20, data_bytes=1 << 20, seed=11)


@pytest.fixture
def create(namespace: Namespace, sources: Sources, small_disk: Path) -> Create:
    """Create a CloudImage of the small disk by a Secret and a cloud."""

    def made(name: str, secret: str, cloud: str = "images", **spec: Any) -> None:
        ref = {"secretName": secret, "cloudName": cloud}
        url = sources.put(name, small_disk)
        namespace.create(name, url, sha256_of(small_disk), cloudCredentialsRef=ref, **spec)

    return made


def finalizers(namespace: Namespace, secret: str) -> list[str] | None:
    """Return the Secret's finalizers; None when it is gone."""
    path = f"metadata.name={secret}"
    listed: Any = namespace.core.list_namespaced_secret(namespace.name, field_selector=path).items
    return next((each.metadata.finalizers or [] for each in listed), None)


def held(namespace: Namespace, secret: str) -> bool:
    return CREDENTIALS_FINALIZER in (finalizers(namespace, secret) or [])


def through(entry: dict[str, Any], proxy: FaultProxy) -> dict[str, Any]:
    """Return the entry with its Keystone behind the proxy."""
    return entry | {"auth": entry["auth"] | {"auth_url": f"{proxy.url}/v3"}}


@contextmanager
def tls_proxies(openstack: OpenStack, folder: Path) -> Iterator[tuple[dict[str, Any], str]]:
    """Put TLS before Keystone and Glance; yield an entry that uses it and the authority's PEM."""
    authority, stem = Authority.new(), folder / "server"
    authority.issue_server(stem)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(stem.with_suffix(".crt"), stem.with_suffix(".key"))
    glance: Any = openstack.connect("images").image.get_endpoint()
    with FaultProxy(openstack.auth_url, tls=tls) as door, FaultProxy(glance, tls=tls) as images:
        entry = through(openstack.cloud("images"), door)
        yield entry | {"image_endpoint_override": images.url}, authority.pem


def ways(openstack: OpenStack) -> dict[str, dict[str, Any]]:
    """Return entries of clouds.yaml that all lead to the project ``images``."""
    password = openstack.cloud("images-password")
    scope = {key: password["auth"][key] for key in ("project_name", "project_domain_id")}
    token = openstack.connect("images-password").authorize()
    return {
        "password": password,
        "v3password": password | {"auth_type": "v3password"},
        "application-credential": openstack.cloud("images"),
        "token": {
            "auth_type": "token",
            "auth": {"auth_url": openstack.auth_url, "token": token, **scope},
            "region_name": "RegionOne",
        },
        "internal": password | {"interface": "internal"},
        "no-region": {key: value for key, value in password.items() if key != "region_name"},
        "other-region": password | {"region_name": "Nowhere"},
    }


@pytest.mark.parametrize(
    "way",
    ["password", "v3password", "application-credential", "token", "internal", "no-region"],
)
def test_each_way_to_log_in_makes_and_deletes_an_image(
    namespace: Namespace, openstack: OpenStack, create: Create, unique: str, way: str
) -> None:
    namespace.put_secret(openstack, unique, **{way: ways(openstack)[way]})
    create(unique, unique, way)
    ready = namespace.wait_condition(unique, "Ready")
    [image] = images_of(openstack.connect("images"), ready.metadata.uid)
    assert (image["id"], image["status"]) == (ready.status.image_id, "active")
    namespace.delete(unique)
    namespace.wait_gone(unique)
    assert images_of(openstack.connect("images"), ready.metadata.uid) == []


def test_a_region_that_the_catalogue_does_not_have_is_told(
    namespace: Namespace, openstack: OpenStack, create: Create, unique: str
) -> None:
    namespace.put_secret(openstack, unique, there=ways(openstack)["other-region"])
    create(unique, unique, "there")
    troubled = namespace.wait_condition(unique, "Stalled", "True", "CloudMisconfigured")
    assert "Nowhere" in (condition_of(troubled, "Ready") or "   ")[2]
    assert troubled.status.cloud_unreachable_since is None
    # The other region is there, so the change of the Secret is all that is waited for.
    namespace.put_secret(openstack, unique, there=ways(openstack)["password"])
    namespace.wait_condition(unique, "Ready")
    namespace.delete(unique)
    namespace.wait_gone(unique)


def test_a_cloud_behind_a_certificate_of_its_own(
    namespace: Namespace, openstack: OpenStack, create: Create, unique: str, tmp_path: Path
) -> None:
    with tls_proxies(openstack, tmp_path) as (entry, authority):
        namespace.put_secret(openstack, unique, private=entry)
        create(unique, unique, "private")
        namespace.wait_condition(unique, "Stalled", "True", "CloudMisconfigured")
        patch = {"stringData": {"cacert": authority}}
        namespace.core.patch_namespaced_secret(unique, namespace.name, patch)
        namespace.wait_condition(unique, "Ready")
        namespace.delete(unique)
        namespace.wait_gone(unique)


def test_two_clouds_from_two_secrets_at_once(
    namespace: Namespace, openstack: OpenStack, create: Create, unique: str
) -> None:
    projects = {"images": f"{unique}-a", "consumer": f"{unique}-b"}
    for project, name in projects.items():
        namespace.put_secret(openstack, name)
        create(name, name, project)
    for project, name in projects.items():
        ready = namespace.wait_condition(name, "Ready")
        [image] = images_of(openstack.connect(project), ready.metadata.uid)
        assert image["owner"] == openstack.project_id(project)
    for name in projects.values():
        namespace.delete(name)
    for name in projects.values():
        namespace.wait_gone(name)
        assert not held(namespace, name)


def test_many_looks_log_in_once_and_a_rotated_secret_is_picked_up(
    own_namespace: Namespace,
    openstack: OpenStack,
    sources: Sources,
    small_disk: Path,
    unique: str,
) -> None:
    def change(number: int) -> None:
        own_namespace.patch(unique, {"spec": {"image": {"tags": [f"t{number}"]}}})
        own_namespace.wait_condition(unique, "Synced")

    before, after = (Fault("POST", "/auth/tokens", "fail", times=0) for _ in range(2))
    with (
        FaultProxy(openstack.auth_url, before) as old,
        FaultProxy(openstack.auth_url, after) as new,
    ):
        entry = openstack.cloud("images")
        own_namespace.put_secret(openstack, unique, counted=through(entry, old))
        ref = {"secretName": unique, "cloudName": "counted"}
        url = sources.put(unique, small_disk)
        own_namespace.create(unique, url, sha256_of(small_disk), cloudCredentialsRef=ref)
        own_namespace.wait_condition(unique, "Ready")
        # Those of the transfer, and the operator's own: a look at the object and one at its cloud
        # need a connection each only where they meet.
        seen = before.seen
        for number in range(5):
            change(number)
        assert before.seen <= seen + 1
        seen = before.seen
        own_namespace.put_secret(openstack, unique, counted=through(entry, new))
        for number in range(5, 8):
            change(number)
        own_namespace.delete(unique)
        own_namespace.wait_gone(unique)
        assert before.seen == seen
        assert 1 <= after.seen <= 2


@pytest.mark.slow
@pytest.mark.parametrize("first", ["secret", "cloudimage"])
def test_a_secret_and_its_images_go_together_in_any_order(
    namespace: Namespace, openstack: OpenStack, create: Create, unique: str, first: str
) -> None:
    namespace.put_secret(openstack, unique)
    names = [f"{unique}-a", f"{unique}-b"]
    for name in names:
        create(name, unique)
    uids = [namespace.wait_condition(name, "Ready").metadata.uid for name in names]
    assert held(namespace, unique)
    secret, images = [f"secret/{unique}"], [f"cloudimage/{name}" for name in names]
    together = secret + images if first == "secret" else images + secret
    namespace.cluster.run_kubectl("delete", "-n", namespace.name, "--timeout=60s", *together)
    assert [namespace.get(name) for name in names] == [None, None]
    assert finalizers(namespace, unique) is None
    for uid in uids:
        assert images_of(openstack.connect("images"), uid) == []


def test_the_secret_waits_for_the_last_one_and_keeps_the_finalizers_of_others(
    namespace: Namespace, openstack: OpenStack, create: Create, unique: str
) -> None:
    namespace.put_secret(openstack, unique)
    others = {"metadata": {"finalizers": ["example.org/ours"]}}
    namespace.core.patch_namespaced_secret(unique, namespace.name, others)
    names = [f"{unique}-a", f"{unique}-b"]
    for name in names:
        create(name, unique)
    for name in names:
        recorded = namespace.wait_condition(name, "Ready").status.credentials_secret
        assert recorded == unique
    assert set(finalizers(namespace, unique) or ()) == {"example.org/ours", CREDENTIALS_FINALIZER}
    namespace.core.delete_namespaced_secret(unique, namespace.name)
    namespace.delete(names[0])
    namespace.wait_gone(names[0])
    assert held(namespace, unique)
    namespace.delete(names[1])
    namespace.wait_gone(names[1])
    assert finalizers(namespace, unique) == ["example.org/ours"]
    taken = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["example.org/ours"]}}
    namespace.core.patch_namespaced_secret(unique, namespace.name, taken)
    assert finalizers(namespace, unique) is None


def test_another_secret_lets_the_old_one_go(
    namespace: Namespace, openstack: OpenStack, create: Create, unique: str
) -> None:
    old, new = f"{unique}-old", f"{unique}-new"
    for secret in (old, new):
        namespace.put_secret(openstack, secret)
    create(unique, old)
    namespace.wait_condition(unique, "Ready")
    assert held(namespace, old)
    assert not held(namespace, new)
    namespace.patch(unique, {"spec": {"cloudCredentialsRef": {"secretName": new}}})
    namespace.wait_condition(unique, "Synced")
    assert not held(namespace, old)
    assert held(namespace, new)
    namespace.delete(unique)
    namespace.wait_gone(unique)
    assert not held(namespace, new)


def _delete_orphan(namespace: Namespace, name: str) -> None:
    namespace.patch(name, {"spec": {"deletionPolicy": "Orphan"}})
    namespace.delete(name)


def _delete_by_force(namespace: Namespace, name: str) -> None:
    namespace.patch(name, {"metadata": {"annotations": {"cloudimage.dev/force-delete": "true"}}})
    namespace.delete(name)


def _take_finalizer(namespace: Namespace, name: str) -> None:
    """Do what people do with an object that is stuck."""
    namespace.patch(name, {"spec": {"image": {"protected": True}}})
    namespace.wait_condition(name, "Synced")
    namespace.delete(name)
    namespace.wait_condition(name, "DeletionBlocked")
    namespace.patch(name, {"metadata": {"finalizers": None}})


@pytest.mark.parametrize("way", [_delete_orphan, _delete_by_force, _take_finalizer])
def test_however_the_last_one_goes_the_secret_is_let_go(
    namespace: Namespace,
    openstack: OpenStack,
    create: Create,
    unique: str,
    way: Callable[[Namespace, str], None],
) -> None:
    namespace.put_secret(openstack, unique)
    create(unique, unique)
    namespace.wait_condition(unique, "Ready")
    assert held(namespace, unique)
    way(namespace, unique)
    namespace.wait_gone(unique)
    assert wait_until(lambda: not held(namespace, unique), 20)


def test_a_secret_that_is_going_makes_no_new_image(
    namespace: Namespace, openstack: OpenStack, create: Create, unique: str
) -> None:
    namespace.put_secret(openstack, unique)
    others = {"metadata": {"finalizers": ["example.org/ours"]}}
    namespace.core.patch_namespaced_secret(unique, namespace.name, others)
    namespace.core.delete_namespaced_secret(unique, namespace.name)
    create(unique, unique)
    stalled = namespace.wait_condition(unique, "Stalled", reason="SecretNotFound")
    assert "is being deleted" in (condition_of(stalled, "Stalled") or "   ")[2]
    free = {"metadata": {"finalizers": None}}
    path = ("patch", "secret", unique, "-n", namespace.name, "--type=merge", "-p")
    namespace.cluster.run_kubectl(*path, json.dumps(free))
    namespace.put_secret(openstack, unique)
    namespace.wait_condition(unique, "Ready")
    namespace.delete(unique)
    namespace.wait_gone(unique)
