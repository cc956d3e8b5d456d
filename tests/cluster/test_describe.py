"""``cloudimage describe`` asks who uses an image, and does not show what was so before."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from cloudimage.api.kinds import CLOUD_IMAGE
from cloudimage.api.names import GROUP, VERSION
from cloudimage.cli.app import app
from support.namespaces import Namespace, server
from support.shares import Make
from support.viewer import viewer
from testbed.openstack import OpenStack

pytestmark = [pytest.mark.cluster, pytest.mark.cloud]


def describe(namespace: Namespace, kubeconfig: Path, *words: str) -> str:
    where = ("-n", namespace.name, "--kubeconfig", str(kubeconfig))
    done = CliRunner().invoke(app, ["describe", *words, *where])
    assert done.exit_code == 0, done.output
    return done.output


def test_a_server_of_a_moment_ago(
    namespace: Namespace, openstack: OpenStack, make: Make, tmp_path: Path, unique: str
) -> None:
    image_id = make(unique)
    # A number of a moment ago is not asked for again.
    old = {"status": {"usedBy": {"lastCheckTime": "2026-01-02T03:04:05Z"}}}
    address = (GROUP, VERSION, namespace.name, CLOUD_IMAGE.plural, unique)
    namespace.objects.patch_namespaced_custom_object_status(*address, old)
    admin = namespace.cluster.kubeconfig
    with server(openstack.connect("images"), f"{unique}-web", image_id) as server_id:
        before = describe(namespace, admin, unique, "--no-refresh")
        assert "0 servers" in before
        as_viewer = describe(namespace, viewer(namespace, tmp_path), unique)
        assert "0 servers" in as_viewer
        assert "d ago" in as_viewer
        after = describe(namespace, admin, unique)
    assert "1 server" in after
    assert server_id in after
    assert "The cloud was asked" in after
    assert "d ago" not in after
