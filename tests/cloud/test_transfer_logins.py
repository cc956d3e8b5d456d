"""How often a transfer logs in: not at all by a login that is handed over and lasts long enough."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from cloudimage.cloud.config import CloudConfig
from cloudimage.cloud.connection import open_cloud
from support.fault_proxy import Fault, FaultProxy
from support.transfer_runs import Bench, by_method, succeed

pytestmark = pytest.mark.cloud


@pytest.fixture
def keystone(bench: Bench) -> Iterator[tuple[Fault, FaultProxy]]:
    """A proxy before Keystone that counts logins."""
    counted = Fault("POST", "/auth/tokens", "fail", times=0)
    with FaultProxy(bench.openstack.auth_url, counted) as proxy:
        yield counted, proxy


def login_of(bench: Bench) -> str:
    """Return the state of a login as the operator hands it over."""
    with open_cloud(CloudConfig(bench.openstack.cloud(bench.project))) as cloud:
        return cloud.keystone.login() or ""


def logins(bench: Bench, disk: Path, keystone: tuple[Fault, FaultProxy], login: str | None) -> int:
    """Return how many logins a transfer needs that is given one; its image is whole."""
    counted, proxy = keystone
    request = by_method(bench, bench.put(disk), "Upload")
    cloud: dict[str, Any] = request["cloud"]
    config = cloud["config"]
    cloud["config"] = config | {"auth": config["auth"] | {"auth_url": f"{proxy.url}/v3"}}
    cloud["login"] = login
    result = succeed(request)
    assert [image.id for image in bench.images()] == [result.image_id]
    return counted.seen


def ending(login: str, left: timedelta) -> str:
    """Return a login whose token is said to end soon."""
    state = json.loads(login)
    end = datetime.now(UTC) + left
    state["body"]["token"]["expires_at"] = end.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return json.dumps(state)


def test_one_of_its_own(bench: Bench, disk: Path, keystone: tuple[Fault, FaultProxy]) -> None:
    assert logins(bench, disk, keystone, None) == 1


def test_one_that_is_handed_over(
    bench: Bench, disk: Path, keystone: tuple[Fault, FaultProxy]
) -> None:
    assert logins(bench, disk, keystone, login_of(bench)) == 0


@pytest.mark.parametrize("left", [timedelta(minutes=5), timedelta(minutes=-5)])
def test_one_that_ends_before_glance_may_have_stored_all(
    bench: Bench, disk: Path, keystone: tuple[Fault, FaultProxy], left: timedelta
) -> None:
    assert logins(bench, disk, keystone, ending(login_of(bench), left)) == 1


def test_one_that_was_revoked(bench: Bench, disk: Path, keystone: tuple[Fault, FaultProxy]) -> None:
    login = login_of(bench)
    token = json.loads(login)["auth_token"]
    url = f"{bench.openstack.auth_url}/auth/tokens"
    headers = {"X-Auth-Token": token, "X-Subject-Token": token}
    assert requests.delete(url, headers=headers, timeout=30).status_code == 204
    assert logins(bench, disk, keystone, login) == 1
