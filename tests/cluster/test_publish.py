"""The id of the current image is kept in a ConfigMap for consumers, beside what others keep there.

Others write it as people do: by kubectl, with and without server-side apply.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client import ApiException

from support.namespaces import Namespace, said, wait_until
from testbed.images import sha256_of
from testbed.kubernetes import Cluster
from testbed.openstack import OpenStack
from testbed.operator import Operator
from testbed.sources import Sources

pytestmark = [pytest.mark.cluster, pytest.mark.cloud]


@pytest.fixture(scope="module")
def publishing(
    cluster: Cluster,
    openstack: OpenStack,
    crds: Cluster,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Namespace]:
    """A namespace whose operator may write ConfigMaps, and compares every five seconds or so."""
    folder = tmp_path_factory.mktemp("operator")
    operator = Operator(
        cluster, cluster.new_namespace("publish"), folder, {"publish": {"enabled": True}}
    )
    operator.install()
    operator.start(CLOUDIMAGE_RESYNC_SECONDS="5")
    namespace = Namespace.of(operator)
    namespace.put_secret(openstack)
    yield namespace
    operator.stop()


def data(namespace: Namespace, name: str) -> dict[str, str] | None:
    """Return the data of a ConfigMap, or None if it does not exist."""
    try:
        return namespace.core.read_namespaced_config_map(name, namespace.name).data or {}
    except ApiException as error:
        if error.status != 404:
            raise
        return None


def wait_data(namespace: Namespace, name: str, expected: dict[str, str] | None) -> None:
    assert wait_until(lambda: data(namespace, name) == expected, 60), data(namespace, name)


def publish(name: str, key: str = "image", **more: str | None) -> dict[str, Any]:
    """Return a part of a spec."""
    return {"publish": {"configMap": {"name": name, "key": key, **more}}}


@pytest.fixture
def source(sources: Sources, raw_disk: Path, unique: str) -> tuple[str, str]:
    """The URL of a disk, and its sha256."""
    return sources.put(f"{unique}.raw", raw_disk), sha256_of(raw_disk)


def test_the_id_is_there_as_long_as_it_is_asked_for(
    publishing: Namespace, source: tuple[str, str], unique: str
) -> None:
    one, two = f"{unique}-one", f"{unique}-two"
    publishing.create(one, *source, **publish(unique, "one", versionKey="one.version"))
    made = publishing.wait_condition(one, "Published")
    first = made.status.image_id or ""
    # The version of a URL without an index is not known.
    assert data(publishing, unique) == {"one": first}

    publishing.create(two, *source, **publish(unique, "two"))
    second = publishing.wait_condition(two, "Published").status.image_id or ""
    wait_data(publishing, unique, {"one": first, "two": second})

    # Another image takes its place there too.
    publishing.patch(one, {"spec": {"image": {"diskFormat": "qcow2"}}})
    made = publishing.wait(
        one, lambda each: each.status.image_id != first and said(each, "Synced")[0] == "True"
    )
    current = made.status.image_id or ""
    wait_data(publishing, unique, {"one": current, "two": second})

    # Another key, another ConfigMap, none: what was there before goes.
    publishing.patch(one, {"spec": publish(unique, "uno", versionKey=None)})
    wait_data(publishing, unique, {"uno": current, "two": second})
    publishing.patch(one, {"spec": publish(f"{unique}-b")})
    wait_data(publishing, unique, {"two": second})
    wait_data(publishing, f"{unique}-b", {"image": current})
    publishing.patch(one, {"spec": {"publish": None}})
    wait_data(publishing, f"{unique}-b", None)
    publishing.wait(
        one,
        lambda each: (
            each.status.published is None
            and "Published" not in {one.type for one in each.status.conditions}
        ),
    )

    publishing.delete(two)
    publishing.wait_gone(two)
    assert data(publishing, unique) is None
    publishing.delete(one)
    publishing.wait_gone(one)


@pytest.mark.parametrize("how", [["apply"], ["apply", "--server-side"], ["create"]])
def test_what_others_have_set_is_never_overwritten(
    publishing: Namespace, source: tuple[str, str], unique: str, how: list[str]
) -> None:
    theirs = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": unique},
        "data": {"image": "theirs", "other": "too"},
    }
    publishing.cluster.run_kubectl(*how, "-n", publishing.name, "-f", "-", stdin=json.dumps(theirs))
    publishing.create(unique, *source, **publish(unique))
    refused = publishing.wait_condition(unique, "Published", "False", "ConfigMapConflict")
    assert "image" in said(refused, "Published")[2]
    assert said(refused, "Ready")[0] == "True"
    assert publishing.told_once(unique, "Warning", "ConfigMapConflict")
    assert data(publishing, unique) == theirs["data"]

    publishing.patch(unique, {"spec": publish(unique, "mine")})
    made = publishing.wait_condition(unique, "Published")
    assert data(publishing, unique) == {"image": "theirs", "other": "too"} | {
        "mine": made.status.image_id
    }
    publishing.delete(unique)
    publishing.wait_gone(unique)
    assert data(publishing, unique) == theirs["data"]


@pytest.mark.slow
def test_two_objects_do_not_fight_for_a_key(
    publishing: Namespace, source: tuple[str, str], unique: str
) -> None:
    one, two = f"{unique}-one", f"{unique}-two"
    publishing.create(one, *source, **publish(unique))
    first = publishing.wait_condition(one, "Published").status.image_id
    publishing.create(two, *source, **publish(unique))
    publishing.wait_condition(two, "Published", "False", "ConfigMapConflict")
    assert data(publishing, unique) == {"image": first}
    # Whoever is left gets it.
    publishing.delete(one)
    publishing.wait_gone(one)
    second = publishing.wait_condition(two, "Published").status.image_id
    assert data(publishing, unique) == {"image": second}
    publishing.delete(two)
    publishing.wait_gone(two)


@pytest.mark.slow
def test_an_immutable_config_map_is_left(
    publishing: Namespace, source: tuple[str, str], unique: str
) -> None:
    theirs: Any = {"metadata": {"name": unique}, "data": {"a": "b"}, "immutable": True}
    publishing.core.create_namespaced_config_map(publishing.name, theirs)
    publishing.create(unique, *source, **publish(unique))
    publishing.wait_condition(unique, "Published", "False", "ConfigMapRefused")
    publishing.delete(unique)
    publishing.wait_gone(unique)
    assert data(publishing, unique) == {"a": "b"}


def test_without_the_right_it_is_said(
    namespace: Namespace, source: tuple[str, str], unique: str
) -> None:
    namespace.create(unique, *source, **publish(unique))
    refused = namespace.wait_condition(unique, "Published", "False", "ConfigMapForbidden")
    assert "publish.enabled" in said(refused, "Published")[2]
    assert said(refused, "Ready")[0] == "True"
    assert data(namespace, unique) is None
    namespace.delete(unique)
    namespace.wait_gone(unique)
