"""What Nova's words mean, as its own classes of exceptions write them."""

import json

import pytest
import requests

from cloudimage.access.failures import of_response
from cloudimage.cloud.server_refusals import refusal

SEVERAL = (
    "More than one possible network found. Specify network ID(s) to select which one(s) to connect "
    "to."
)
LIMIT = (
    "Project 5c9fe1bc is over a limit for [Resource servers is over limit of 0 due to current "
    "usage 0 and delta 1]"
)
"""As oslo.limit has it, where Nova's quota driver is that of unified limits."""


def answer(
    status: int, message: str, path: str = "/v2.1/servers", **headers: str
) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    response.headers.update({"Content-Type": "application/json"} | headers)
    fault = {"badRequest": {"code": status, "message": message}}
    response._content = json.dumps(fault).encode()
    response.request = requests.Request("POST", f"http://nova.example.org{path}").prepare()
    return response


def refused(response: requests.Response) -> tuple[str, str]:
    error = refusal(of_response(response), "making the test server", response)
    return error.reason, str(error)


@pytest.mark.parametrize(
    ("status", "message", "reason"),
    [
        (400, "Flavor's memory is too small for requested image.", "FlavorTooSmall"),
        (
            400,
            "Flavor's disk is too small for requested image. Flavor disk is 1 bytes, image is 2.",
            "FlavorTooSmall",
        ),
        (400, "The created instance's disk would be too small.", "FlavorTooSmall"),
        (
            403,
            "Only volume-backed servers are allowed for flavors with zero disk.",
            "FlavorTooSmall",
        ),
        (400, "Flavor m1.none could not be found.", "FlavorNotFound"),
        (404, "Network 7 could not be found.", "NetworkNotFound"),
        (
            400,
            "Unable to automatically allocate a network for project 5c9fe1bc",
            "NetworkNotFound",
        ),
        (
            409,
            "Multiple possible networks found, use a Network ID to be more specific.",
            "NetworkAmbiguous",
        ),
        (
            409,
            SEVERAL,
            "NetworkAmbiguous",
        ),
        (
            403,
            "Quota exceeded for cores: Requested 1, but already used 8 of 8 cores",
            "QuotaExceeded",
        ),
        (403, "Maximum number of ports exceeded", "QuotaExceeded"),
        (403, "The number of defined ports: 9 is over the limit: 8", "QuotaExceeded"),
        (403, LIMIT, "QuotaExceeded"),
        (413, "Quota exceeded for instances", "QuotaExceeded"),
        (400, "Image 7 is not active.", "Conflict"),
        (400, "Can not find requested image", "NotFound"),
        (403, "Policy doesn't allow os_compute_api:servers:create to be performed.", "Forbidden"),
        (403, "It is not allowed to create an interface on external network 7", "Forbidden"),
        (409, "No Unique Match Found.", "Conflict"),
        (503, "Busy", "CloudUnreachable"),
        (500, "Unexpected API Error.", "CloudUnreachable"),
    ],
)
def test_words_of_nova_have_their_reason(status: int, message: str, reason: str) -> None:
    found, text = refused(answer(status, message))
    assert found == reason
    assert text.startswith(f"making the test server: {message.rstrip('.')}")


@pytest.mark.parametrize("status", [400, 404, 405, 406, 415, 418])
def test_words_that_are_not_known_are_quoted_under_a_general_reason(status: int) -> None:
    found, text = refused(answer(status, "Invalid image metadata. Error: the moon is full"))
    assert found == "ServerRefused"
    assert ("the moon is full" in text) == (status != 406)


@pytest.mark.parametrize(
    ("status", "message", "reason"),
    [
        # A tenant chooses names, which Nova quotes: they make no reason out of another.
        (400, "Invalid volume: Quota exceeded", "ServerRefused"),
        (403, "Flavor m1 could not be found", "Forbidden"),
        (400, "Invalid metadata: Flavor x could not be found", "ServerRefused"),
        (400, "Security group Network x could not be found.", "ServerRefused"),
        (500, "Quota exceeded for cores", "CloudUnreachable"),
    ],
)
def test_known_words_elsewhere_or_with_another_status_mean_nothing(
    status: int, message: str, reason: str
) -> None:
    assert refused(answer(status, message))[0] == reason


def test_a_busy_nova_says_when_to_come_again() -> None:
    response = answer(503, "Busy", **{"Retry-After": "120"})
    assert refusal(of_response(response), "reading", response).retry_after == 120


def test_the_access_rule_that_is_missing_is_named_without_what_changes_each_time() -> None:
    server = "6a6b4b5c-0000-4000-8000-0123456789ab"
    for path, shown in {
        "/v2.1/servers": "/v2.1/servers",
        f"/compute/v2.1/servers/{server}/action": "/compute/v2.1/servers/*/action",
        f"/v2.1/os-keypairs/cloudimage-boot-test-{server}-0a1b2c3d": "/v2.1/os-keypairs/*",
        f"/v2.1/servers/detail?name=^{server}": "/v2.1/servers/detail",
    }.items():
        reason, text = refused(answer(401, "no", path))
        assert reason == "Forbidden"
        assert text.endswith(f"it needs an access rule for POST {shown}")


def test_nothing_is_shown_of_an_answer_that_is_not_openstacks() -> None:
    response = answer(400, "")
    response._content = b'{"detail": "hunter2"}'
    reason, text = refused(response)
    assert (reason, "hunter2" in text) == ("ServerRefused", False)
