"""``cloudimage check`` with the Secret that the operator would use."""

import pytest
from click.testing import CliRunner

from cloudimage.cli.app import app
from support.namespaces import Namespace

pytestmark = [pytest.mark.cluster, pytest.mark.cloud]


def check(namespace: Namespace, secret: str, cloud: str) -> tuple[int, str]:
    where = ("-n", namespace.name, "--kubeconfig", str(namespace.cluster.kubeconfig))
    done = CliRunner().invoke(app, ["check", "--secret", secret, "--cloud", cloud, *where])
    assert "Traceback" not in done.output
    return done.exit_code, done.output


def test_a_secret_of_the_cluster(namespace: Namespace) -> None:
    status, text = check(namespace, "openstack", "images")
    assert status == 0, text
    states = [line.split()[0] for line in text.splitlines() if "(optional)" not in line]
    assert set(states) == {"ok"}


def test_a_secret_or_a_cloud_that_is_not_there(namespace: Namespace) -> None:
    status, text = check(namespace, "none", "images")
    assert (status, text) == (
        2,
        f"missing   Secret   Secret none in namespace {namespace.name} does not exist; create it\n",
    )
    status, text = check(namespace, "openstack", "mars")
    assert status == 2
    assert "clouds.yaml has no cloud 'mars'; it has:" in text
