"""What is taken of Nova's answers about a test's server, whatever they have."""

import json
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any
from unittest.mock import MagicMock

import pytest
import requests

from cloudimage.cloud import boot_servers, models
from cloudimage.cloud.errors import CloudError, NoConsoleError, ServerRefusedError

BODY: dict[str, Any] = {
    "id": "6a6b4b5c-0000-4000-8000-0123456789ab",
    "name": "cloudimage-boot-test-1",
    "image": "",
    "status": "ERROR",
    "created": "2026-11-30T10:14:30Z",
    "OS-SRV-USG:launched_at": "2026-11-30T10:14:31.185051",
    "OS-EXT-STS:task_state": None,
    "addresses": {
        "b": [{"addr": "198.18.8.4", "version": 4}, {"addr": "fd7a:8::4", "version": 6}],
        "a": [{"addr": "198.18.9.4", "version": 4}],
    },
    "metadata": {"cloudimage_dev_image_id": "image", "cloudimage_dev_boot_token": "token"},
    "fault": {
        "code": 500,
        "message": "No valid host was found.",
        "created": "2026-11-30T10:14:31Z",
    },
}
HOST = "Build of instance 812a445f-21c7-40e0-8d62-7aa590f52023 aborted: "


def server(**changes: Any) -> models.TestServer:
    return boot_servers._server(BODY | changes)


def test_a_server_on_a_volume_has_the_image_of_its_marks_and_times_are_in_utc() -> None:
    found = server()
    assert (found.image_id, found.token) == ("image", "token")
    assert found.launched_at == datetime(2026, 11, 30, 10, 14, 31, 185051, UTC)
    assert found.created_at == datetime(2026, 11, 30, 10, 14, 30, tzinfo=UTC)
    assert found.addresses == tuple(map(ip_address, ("198.18.8.4", "fd7a:8::4", "198.18.9.4")))
    assert server(image={"id": "other"}).image_id == "other"


@pytest.mark.parametrize(
    ("message", "fault"),
    [
        ("No valid host was found. ", "No valid host was found."),
        (f"{HOST}the disk is full", "the disk is full"),
        ("refused (HTTP 400) (Request-ID: req-41a709d6-c9e", "refused (HTTP 400)"),
        ("\x1b[2Jred\nReady: True\u202e", "\ufffd[2Jred Ready: True\ufffd"),
        ("x" * 10**6, "x" * 497 + "\u2026"),
        (None, None),
        ({"a": "b"}, None),
    ],
)
def test_a_fault_is_one_clean_line_that_is_the_same_each_time(
    message: object, fault: str | None
) -> None:
    assert server(fault={"message": message}).fault == fault


@pytest.mark.parametrize(
    "changes",
    [
        {"addresses": {"a": [{"addr": "hunter2"}]}},
        {"addresses": [1]},
        {"metadata": {"a": {"b": "hunter2"}}},
        {"metadata": "hunter2"},
        {"created": "hunter2"},
        {"OS-SRV-USG:launched_at": "hunter2"},
        {"status": 7},
        {"fault": "hunter2"},
        {"image": "hunter2"},
    ],
)
def test_what_is_not_of_novas_types_is_refused_without_being_quoted(
    changes: dict[str, Any],
) -> None:
    with pytest.raises(CloudError) as caught:
        server(**changes)
    assert "does not conform to the API" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_cloud_without_nova_has_no_servers_of_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the making of one says that there is no Nova, and nothing is left to delete."""
    monkeypatch.setattr(boot_servers, "offers", lambda *_: False)
    nothing: Any = None
    monkeypatch.setattr(boot_servers, "Neutron", lambda _: nothing)
    nova = boot_servers.BootServers(nothing)
    assert nova.find("uid") == ()
    nova.delete_keys("uid")


@pytest.mark.parametrize(
    ("status", "error"),
    [(404, NoConsoleError), (409, NoConsoleError), (501, ServerRefusedError)],
)
def test_a_console_that_nova_does_not_have_is_no_empty_one(
    status: int, error: type[CloudError], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As "Show Console Output" of Nova's API reference answers."""
    answer = requests.Response()
    answer.status_code, answer.headers["Content-Type"] = status, "application/json"
    fault = {"message": "Guest does not have a console available.", "code": status}
    answer._content = json.dumps({"itemNotFound": fault}).encode()
    servers = boot_servers.BootServers(connection=MagicMock())
    monkeypatch.setattr(servers._nova, "send", lambda *_, **__: answer)
    with pytest.raises(error, match=r"test server: Guest does not have a console available$"):
        servers.console("server", 10)
