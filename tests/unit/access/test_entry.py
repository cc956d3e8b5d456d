"""clouds.yaml by a list of what is allowed: nothing else of it reaches openstacksdk."""

import ast
import inspect
import os
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openstack
import pytest
from keystoneauth1 import loading
from keystoneauth1.session import Session
from openstack.config import OpenStackConfig, defaults
from openstack.config.cloud_region import CloudRegion
from openstack.connection import Connection

from cloudimage.access import entry, local, region, yamltext
from cloudimage.cloud.config import CloudConfig, parse_clouds_yaml
from cloudimage.cloud.connection import open_cloud
from cloudimage.cloud.errors import InvalidCloudsYamlError
from cloudimage.transfer.contract import Cloud, Reason, TransferError
from cloudimage.transfer.glance.client import Glance
from testbed.paths import REPOSITORY

AUTH = {
    "auth_url": "http://127.0.0.1:9/v3",
    "username": "u",
    "password": "p",
    "project_name": "p",
    "user_domain_id": "default",
    "project_domain_id": "default",
}
INLINE = "{auth_url: 'http://127.0.0.1:9/v3', username: u, password: p, project_name: p}"
SNAPSHOT = REPOSITORY / "tests" / "unit" / "snapshots" / "sdk-options.txt"
LEVELS = "".join(
    f"    b{n}: &b{n} {{{', '.join(f'k{k}: *b{n - 1}' for k in range(8))}}}\n" for n in range(1, 8)
)
ALIAS_BOMB = f"clouds:\n  x:\n    auth: {INLINE}\n    b0: &b0 {{x: y}}\n{LEVELS}"


def clouds(extra: str) -> str:
    return f"clouds:\n  x:\n    auth: {INLINE}\n    {extra}\n"


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ("vendor_hook: 'sys:exit'", "sets vendor_hook: allowed are auth, auth_type"),
        ("verify: /etc/passwd", "sets verify: must be true or false"),
        ("options: {a: b}", "sets options:"),
        ("app_name: x", "sets app_name:"),
        ("load_envvars: true", "sets load_envvars:"),
        ("load_yaml_config: true", "sets load_yaml_config:"),
        ("metrics: {statsd: {host: h}}", "sets metrics:"),
        ("image_status_code_retries: 100", "sets image_status_code_retries:"),
        ("connect_retries: 100", "sets connect_retries:"),
        ("session_constructor: x", "sets session_constructor:"),
        ("cacert: /etc/passwd", "sets cacert: put the certificate itself into the Secret"),
        ("regions: [a, b]", "sets regions: name the one region"),
        ("networks: []", "sets networks:"),
        ("api_timeout: 100000", "sets api_timeout:"),
        ("nonsense_endpoint_override: http://h/", "sets nonsense_endpoint_override:"),
        ("image_endpoint_override: file:///etc/passwd", "sets image_endpoint_override: must be"),
        ("image_endpoint_override: 'http://u:p@h/'", "sets image_endpoint_override: must be"),
        (
            "image_endpoint_override: 'http://h/%(project_id)2000000000s'",
            "sets image_endpoint_override: must be",
        ),
        ('region_name: "{auth_type:>700000000}"', "sets region_name: must be a text"),
        ("region_name: 7", "sets region_name: YAML reads it as a number"),
        ("interface: inner", "sets interface: must be public, internal or admin"),
        ("identity_api_version: 99999", "sets identity_api_version: must be a version"),
        ("auth_type: v3oidcdeviceauthz", "has an auth_type that is not allowed"),
        ("auth_type: {a: b}", "has an auth_type that is not allowed"),
        ('? "a\\e[2Jb"\n    : c', "sets a.\\[2Jb:"),
    ],
)  # fmt: skip
def test_what_is_not_allowed_is_refused_by_its_name(extra: str, words: str) -> None:
    with pytest.raises(InvalidCloudsYamlError, match=words) as caught:
        parse_clouds_yaml(clouds(extra), "x")
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    ("auth", "words"),
    [
        ({"passcode": "x"}, "sets auth.passcode: with auth_type password these are allowed"),
        ({"tenant_name": "x"}, "sets auth.tenant_name: write project_name"),
        ({"password": 12345}, "sets auth.password: YAML reads it as a number, not as text; put"),
        ({"password": True}, "sets auth.password: YAML reads it as true or false"),
        ({"password": None}, r"no text in auth\.password"),
        ({"password": ["p"]}, "sets auth.password: must be a text"),
        ({"project_id": 7}, "sets auth.project_id: YAML reads it as a number"),
        ({"auth_url": "ftp://h/"}, "sets auth.auth_url: must be a URL"),
        ({"auth_url": "http://{password}/"}, "sets auth.auth_url: must be a URL"),
        ({"auth_url": "http:///v3"}, "sets auth.auth_url: must be a URL"),
        ({"auth_url": "http://h:99999/v3"}, "sets auth.auth_url: must be a URL"),
        ({"auth_url": "http://h/\r\nX: y"}, "sets auth.auth_url: must be a URL"),
    ],
)
def test_what_is_not_allowed_below_auth_is_refused_by_its_name(
    auth: dict[str, Any], words: str
) -> None:
    with pytest.raises(entry.EntryRefusedError, match=words):
        entry.check({"auth": AUTH | auth}, "x")


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        ("12345", "number"),
        ("0777", "number"),
        ("1.5", "number"),
        ("9" * 5000, "number"),
        ("2026-01-01", "date"),
        ("yes", "true or false"),
    ],
)
def test_a_password_that_yaml_takes_for_something_else_is_told_as_such(
    written: str, kind: str
) -> None:
    text = clouds("verify: true").replace("password: p", f"password: {written}")
    with pytest.raises(InvalidCloudsYamlError, match=f"auth.password: YAML reads it as .*{kind}"):
        parse_clouds_yaml(text, "x")
    quoted = text.replace(f"password: {written}", f"password: '{written}'")
    assert parse_clouds_yaml(quoted, "x").options["auth"]["password"] == written


@pytest.mark.parametrize(
    "text",
    [
        "clouds: {x: {auth: &a {}, b: *a}}",
        ALIAS_BOMB,
        "clouds: !!python/object/apply:os.system ['true']",
        "clouds: {}\n---\nclouds: {}",
        "clouds: {x: 1, x: 2}",
        "[" * 20000,
        "a: " * 20000,
        "clouds: {" + "".join(f"a{n}: b, " for n in range(3000)) + "}",
        "clouds: " + "1:" * 32000,
        "#" * 2**20,
        "clouds: {? [a]: b}",
        "cache: {auth: true}\nclouds: {x: {}}",
        "client: {force_ipv4: true}\nclouds: {x: {}}",
    ],
)
def test_bombs_are_refused_before_they_are_built(text: str) -> None:
    tracemalloc.start()
    began = time.monotonic()
    with pytest.raises(InvalidCloudsYamlError):
        parse_clouds_yaml(text, "x")
    seconds = time.monotonic() - began
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 32 * 2**20
    assert seconds < 10  # a tenth without tracemalloc


def test_a_huge_certificate_is_refused() -> None:
    with pytest.raises(InvalidCloudsYamlError, match="cacert of the Secret is larger"):
        parse_clouds_yaml(clouds("verify: true"), "x", "A" * 2**20)


def test_braces_in_a_password_are_the_password() -> None:
    password = "{auth_type:>700000000}{0}{"
    checked = entry.check({"auth": AUTH | {"password": password}}, "x")
    made = region.region(checked, Session, None)
    auth: Any = made.get_auth()
    assert auth._password == password
    assert made.config["auth"]["password"] == password


@pytest.mark.parametrize("extra", [{"vendor_hook": "sys:exit"}, {"vendor_hook": "os:abort"}])
def test_what_was_not_parsed_here_is_checked_all_the_same(
    extra: dict[str, Any], tmp_path: Path
) -> None:
    options = {"auth": AUTH, **extra}
    with (
        pytest.raises(InvalidCloudsYamlError, match="vendor_hook"),
        open_cloud(CloudConfig(options)),
    ):
        pytest.fail("connected")
    with pytest.raises(TransferError, match="vendor_hook") as caught:
        Glance(Cloud(config=options), tmp_path)
    assert caught.value.reason is Reason.INVALID_CREDENTIALS


def test_only_what_is_listed_reaches_the_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OS_VENDOR_HOOK", "sys:exit")
    monkeypatch.setenv("OS_REGION_NAME", "elsewhere")
    checked = entry.check(
        {
            "auth": AUTH,
            "region_name": "one",
            "verify": False,
            "interface": "internal",
            "identity_api_version": 3,
            "image_endpoint_override": "http://h/%(project_id)s",
            "volumev3_api_version": "3",
            "network_api_version": "2.0",
        },
        "x",
    )
    config = region.region(checked, Session, "/ca").config
    # The SDK makes texts of numbers.
    constants = {
        key: str(value) if type(value) is int else value for key, value in region._CONSTANTS.items()
    }
    assert config == {
        **constants,
        "auth": AUTH,
        "auth_type": "password",
        "region_name": "one",
        "verify": False,
        "interface": "internal",
        "identity_api_version": "3",
        "image_endpoint_override": "http://h/%(project_id)s",
        "volumev3_api_version": "3",
        "cacert": "/ca",
    }


def test_a_domain_beside_a_project_is_of_both() -> None:
    auth = {key: AUTH[key] for key in ("auth_url", "username", "password", "project_name")}
    checked = entry.check({"auth": auth | {"domain_name": "d"}}, "x")
    assert checked["auth"] == auth | {"user_domain_name": "d", "project_domain_name": "d"}
    alone = {key: value for key, value in auth.items() if key != "project_name"}
    assert entry.check({"auth": alone | {"domain_id": "d"}}, "x")["auth"]["domain_id"] == "d"


def test_each_way_to_log_in_takes_what_its_plugin_knows() -> None:
    assert region.PLUGINS.keys() == entry.SECRET_OF.keys() == entry.AUTH_KEYS.keys()
    for auth_type, keys in entry.AUTH_KEYS.items():
        options = {each.dest for each in loading.get_plugin_options(auth_type)}
        assert keys | {"auth_url", entry.SECRET_OF[auth_type]} <= options
        every = dict.fromkeys(keys, "x") | {entry.SECRET_OF[auth_type]: "x"}
        region.PLUGINS[auth_type](auth_url="http://h/v3", **every)


def test_a_checked_entry_stays_as_it_is() -> None:
    once = entry.check({"auth": AUTH, "compute_api_version": 2.1, "verify": True}, "x")
    assert entry.check(once, "x") == once


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.yaml"))
    monkeypatch.setenv("OS_CLIENT_SECURE_FILE", str(tmp_path / "secure.yaml"))
    return tmp_path


def test_a_users_own_file_may_name_a_certificate_and_have_other_sections(files: Path) -> None:
    (files / "ca.pem").write_text("PEM")
    text = clouds(f"cacert: {files}/ca.pem").replace("password: p", "user_domain_id: d")
    (files / "clouds.yaml").write_text(f"cache: {{auth: true}}\n{text}")
    (files / "secure.yaml").write_text("clouds: {x: {auth: {password: s}}}")
    options, certificate = local.find("x")
    assert certificate == "PEM"
    assert "cacert" not in options
    assert (options["auth"]["password"], options["auth"]["username"]) == ("s", "u")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (clouds("vendor_hook: 'sys:exit'"), "sets vendor_hook"),
        (clouds("profile: vexxhost"), "sets profile"),
        (clouds("cacert: /nowhere"), "/nowhere cannot be read"),
        (clouds("cacert: /dev/zero"), "/dev/zero is larger"),
        (ALIAS_BOMB, "an anchor or an alias"),
        ("#" * 2**20, "is larger than 64 KiB"),
        ("clouds: {y: {}}", "has no cloud 'x'"),
    ],
)
def test_a_users_own_file_runs_nothing_either(files: Path, text: str, words: str) -> None:
    (files / "clouds.yaml").write_text(text)
    with pytest.raises(local.LocalCloudError, match=words):
        local.find("x")


def test_the_sdk_reads_no_option_that_was_not_looked_at() -> None:
    """A new one is looked at before it is added here: UPDATE_SNAPSHOTS=1 writes the file."""
    found = "".join(f"{line}\n" for line in sorted(_options_of_the_sdk()))
    if "UPDATE_SNAPSHOTS" in os.environ:
        SNAPSHOT.write_text(found)
    known = set(SNAPSHOT.read_text().splitlines())
    assert set(found.splitlines()) <= known, "new options: may the list in access/entry.py stay?"


def _options_of_the_sdk() -> Iterator[str]:
    for kind in (CloudRegion, Connection, OpenStackConfig, Session):
        for name in inspect.signature(kind).parameters:
            yield f"{kind.__name__}({name})"
    yield from (f"default {name}" for name in defaults.get_defaults())
    for auth_type in entry.SECRET_OF:
        for option in loading.get_plugin_options(auth_type):
            yield f"{auth_type}: {option.dest}"
    package = Path(str(openstack.__file__)).parent
    for path in package.rglob("*.py"):
        if "tests" not in path.parts:
            yield from _keys_read(ast.parse(path.read_text()))


def _keys_read(module: ast.Module) -> Iterator[str]:
    """Yield the keys by which code reads something that is called config, or of a region."""
    for node in ast.walk(module):
        key: ast.expr | None = None
        holder: ast.expr | None = None
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            holder, key = node.func.value, node.args[0]
            if node.func.attr in {"_get_config", "_get_service_config"}:
                holder = ast.Name("config")
            elif node.func.attr not in {"get", "pop", "setdefault"}:
                continue
        elif isinstance(node, ast.Subscript):
            holder, key = node.value, node.slice
        elif isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In | ast.NotIn):
            holder, key = node.comparators[0], node.left
        if holder is not None and isinstance(key, ast.Constant) and isinstance(key.value, str):
            name = ast.unparse(holder)
            if name.split(".")[-1].endswith(("config", "config_dict", "args")):
                yield f"reads {key.value}"


def test_the_bounds_are_those_of_the_docs() -> None:
    page = (REPOSITORY / "docs" / "credentials.md").read_text()
    assert f"{yamltext.MAX_BYTES // 2**10} KiB" in page
