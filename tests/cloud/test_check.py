"""``cloudimage check`` against real Keystone, Glance and Nova."""

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from cloudimage.cli.app import app
from support.boot_servers import quota
from support.openstack_actions import make_image
from support.projects import own_project
from testbed.openstack import OpenStack
from testbed.process import free_ports

pytestmark = pytest.mark.cloud

Check = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def check(openstack: OpenStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Check]:
    """Check an entry of clouds.yaml that is changed so; no image of the check is left."""

    def run(cloud: str, *words: str, **changes: Any) -> tuple[int, dict[str, Any]]:
        entry = openstack.cloud(cloud)
        entry = {**entry, **changes, "auth": {**entry["auth"], **changes.get("auth", {})}}
        path = tmp_path / "clouds.yaml"
        path.write_text(yaml.safe_dump({"clouds": {"mine": entry}}))
        monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(path))
        command = ["check", "--local", "--cloud", "mine", "-o", "json", *words]
        done = CliRunner().invoke(app, command)
        assert "Traceback" not in done.output
        return done.exit_code, {each["what"]: each for each in json.loads(done.stdout)}

    yield run
    left = openstack.connect("admin").image.get(
        "/images", params={"name": "cloudimage check (to be deleted)", "os_hidden": "true"}
    )
    assert left.json()["images"] == []


def states(found: dict[str, Any]) -> dict[str, str]:
    return {what: each["state"] for what, each in found.items()}


def test_a_member_has_what_is_needed(check: Check) -> None:
    status, found = check("images")
    assert status == 0
    seen = states(found)
    needed = ("login", "image service", "make images", "change images", "delete images")
    assert {seen[each] for each in needed} == {"ok"}
    assert (seen["visibility public"], found["visibility public"]["needed"]) == ("missing", False)
    assert "administrator" in found["visibility public"]["text"]
    assert "only the project's own" in found["servers that use an image"]["text"]
    assert "member" in found["login"]["text"]
    assert "glance-direct" in found["import methods"]["text"]
    assert not any(what.startswith("boot test") for what in found)


def test_an_administrator_may_all(check: Check) -> None:
    status, found = check("admin")
    assert status == 0
    assert states(found)["visibility public"] == "ok"
    assert "of all projects" in found["servers that use an image"]["text"]
    assert states(found)["look up projects"] == "ok"


def test_a_quota_that_is_used_up(openstack: OpenStack, check: Check, unique: str) -> None:
    with own_project(openstack, unique) as project:
        project.set_quota("image_count_total", 0)
        status, found = check("images-password", auth=project.entry["auth"])
    assert status == 2
    assert states(found)["make images"] == "missing"
    assert "image_count_total 0 of 0 used" in found["quota"]["text"]


@contextmanager
def limited(openstack: OpenStack, *rules: tuple[str, str]) -> Iterator[dict[str, Any]]:
    """Yield ``auth`` of an application credential that may only make these requests to Glance."""
    # Application credentials may not make others.
    connection = openstack.connect("images-password")
    keystone, user = connection.identity, connection.current_user_id
    allowed = [{"service": "image", "method": method, "path": path} for method, path in rules]
    name = f"check-{uuid.uuid4()}"
    body = {"name": name, "unrestricted": False, "access_rules": allowed}
    made = keystone.post(
        f"/users/{user}/application_credentials", json={"application_credential": body}
    )
    assert made.status_code == 201, made.text
    made = made.json()["application_credential"]
    try:
        yield {
            "auth_url": openstack.auth_url,
            "application_credential_id": made["id"],
            "application_credential_secret": made["secret"],
        }
    finally:
        keystone.delete(f"/users/{user}/application_credentials/{made['id']}")


def test_credentials_for_the_image_service_alone(openstack: OpenStack, check: Check) -> None:
    rules = [(method, "/v2/**") for method in ("GET", "POST", "PATCH", "DELETE")]
    with limited(openstack, *rules) as auth:
        status, found = check("images", auth_type="v3applicationcredential", auth=auth)
    assert status == 2, found
    assert states(found)["make images"] == "ok", found
    servers = found["servers that use an image"]
    assert servers["state"] == "missing"
    assert "access rules" in servers["text"]


BOOT_TEST = [
    "boot test: flavors",
    "boot test: key pairs",
    "boot test: make servers",
    "boot test: read and delete servers",
    "boot test: networks",
    "boot test: quota",
]


def test_what_a_boot_test_needs_of_nova(openstack: OpenStack, check: Check, unique: str) -> None:
    admin = openstack.connect("admin")
    with own_project(openstack, unique) as project, quota(admin, project.id, instances=0):
        status, found = check("images-password", "--boot-test", auth=project.entry["auth"])
    assert (status, list(found)[-len(BOOT_TEST) :]) == (0, BOOT_TEST)
    assert {found[each]["state"] for each in BOOT_TEST[:4]} == {"ok"}
    assert "by id" in found["boot test: networks"]["text"]
    assert found["boot test: quota"]["state"] == "missing"
    assert "instances 0 of 0" in found["boot test: quota"]["text"]
    rules = [(method, "/v2/**") for method in ("GET", "POST", "PATCH", "DELETE")]
    with limited(openstack, *rules) as auth:
        changes = {"auth_type": "v3applicationcredential", "auth": auth}
        status, found = check("images", "--boot-test", **changes)
    assert (status, found["boot test: flavors"]["state"]) == (2, "missing")
    assert "access rule for GET /v2.1/flavors/*" in found["boot test: flavors"]["text"]
    assert "boot test: make servers" not in found


def test_a_reader_may_make_no_server(openstack: OpenStack, check: Check, unique: str) -> None:
    admin: Any = openstack.connect("admin").identity
    user = admin.create_user(name=unique, password="p", domain_id="default")
    [reader] = admin.roles(name="reader")
    project = openstack.project_id("consumer")
    admin.assign_project_role_to_user(project, user, reader)
    try:
        auth = {"username": unique, "password": "p"}
        status, found = check("consumer-password", "--boot-test", auth=auth)
    finally:
        admin.delete_user(user)
    assert status == 2
    line = found["boot test: make servers"]
    assert line["state"] == "missing"
    assert "os_compute_api:servers:create" in line["text"]
    assert "role member" in line["text"]


def test_credentials_of_a_source_need_only_read(openstack: OpenStack, check: Check) -> None:
    image = make_image(openstack.connect("images"), b"x", visibility="private")
    listing, rest = ("GET", "/v2/images"), ("GET", "/v2/images/*")
    try:
        with limited(openstack, listing, rest, ("GET", "/v2/images/*/file")) as auth:
            status, found = check("images", "--source", auth=auth)
            assert (status, set(states(found).values())) == (0, {"ok"}), found
            assert list(found)[-2:] == ["list images", "read images"]
            assert check("images", auth=auth)[0] == 2
        with limited(openstack, listing, rest) as auth:
            status, found = check("images", "--source", auth=auth)
        assert (status, states(found)["read images"]) == (2, "missing")
        assert "access rules" in found["read images"]["text"]
    finally:
        openstack.connect("images").image.delete_image(image.id)


@pytest.mark.parametrize(
    ("changes", "what", "state", "words"),
    [
        ({"auth": {"password": "wrong"}}, "login", "missing", "check the entry"),
        ({"region_name": "Mars"}, "image service", "missing", "region Mars"),
    ],
)
def test_what_is_wrong_with_an_entry(
    check: Check, changes: dict[str, Any], what: str, state: str, words: str
) -> None:
    status, found = check("images-password", **changes)
    assert status == 2
    assert found[what]["state"] == state
    assert words in found[what]["text"]


def test_a_cloud_that_is_away(check: Check) -> None:
    [port] = free_ports(1)
    status, found = check("images", auth={"auth_url": f"http://127.0.0.1:{port}/v3"})
    assert status == 2
    assert states(found) == {"clouds.yaml": "ok", "login": "unknown"}


def test_an_entry_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", "/dev/null")
    done = CliRunner().invoke(app, ["check", "--local", "--cloud", "x"])
    assert done.exit_code == 2
    assert done.output.startswith("missing   clouds.yaml")
