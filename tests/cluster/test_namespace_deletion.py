"""An operator for single namespaces, whose rights go before its objects: how to get out of that."""

import subprocess
from pathlib import Path

import pytest

from support.namespaces import Namespace, images_of
from testbed.images import sha256_of
from testbed.openstack import OpenStack
from testbed.operator import CHART, RELEASE
from testbed.sources import Sources

pytestmark = [pytest.mark.cluster, pytest.mark.cloud]


def test_rights_that_went_first_are_given_back_by_the_documented_command(
    own_namespace: Namespace,
    openstack: OpenStack,
    sources: Sources,
    raw_disk: Path,
    unique: str,
) -> None:
    namespace, cluster = own_namespace, own_namespace.cluster
    namespace.create(unique, sources.put(f"{unique}.raw", raw_disk), sha256_of(raw_disk))
    made = namespace.wait_condition(unique, "Ready")
    # As the deletion of a namespace does: there is no order in which what is in it goes.
    cluster.run_kubectl("delete", "rolebinding", RELEASE, "-n", namespace.name)
    namespace.delete(unique)

    for line in namespace.operator.log().splitlines():
        assert "Traceback" not in line
    assert namespace.get(unique) is not None
    words = ("template", RELEASE, str(CHART), "--namespace", namespace.name)
    flags = ("--set", "image.repository=unused", "--show-only", "templates/rbac.yaml")
    command = [str(cluster.helm), *words, *flags]
    rights = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    try:
        cluster.run_kubectl("apply", "-f", "-", stdin=rights)
        namespace.wait_gone(unique, 120)
    finally:
        cluster.run_kubectl("delete", "-f", "-", stdin=rights)
    assert images_of(openstack.connect("images"), made.metadata.uid) == []
