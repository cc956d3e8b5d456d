"""What the SDK's exceptions become, and what a service says as a sentence."""

import keystoneauth1.exceptions
import openstack.exceptions
import pytest
import requests
from keystoneauth1.exceptions.http import from_response
from openstack.exceptions import raise_from_response

from cloudimage.cloud.errors import CloudError, CloudUnreachableError, ConflictError, translated

PAGE = b"<html><head><title>409 Conflict</title></head><body>Image 7 is in use.</body></html>"
GLANCE = (
    b'{"message": "Image 7 is in use.<br /><br />\\n\\n", "code": "409 Conflict", '
    b'"title": "Conflict"}'
)
NOVA = b'{"conflictingRequest": {"code": 409, "message": "Image 7 is in use."}}'
KEYSTONE = b'{"error": {"code": 409, "message": "Image 7 is in use.", "title": "Conflict"}}'
OF_A_PROXY = 'the answer is a page, "409 Conflict", probably of a proxy before the service'
NONE = "the answer is 409 Conflict, without a reason that can be shown"
JSON = "application/json; charset=UTF-8"


def answer(status: int, **headers: str) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    response.url = "http://glance.example.org/v2/images"
    response.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    response._content = b""
    return response


@pytest.mark.parametrize(
    ("status", "header", "expected"),
    [(503, "120", 120.0), (429, "7", 7.0), (503, "soon", None), (503, None, None)],
)
def test_the_wish_of_a_busy_cloud_is_passed_on(
    status: int, header: str | None, expected: float | None
) -> None:
    response = answer(status, **({"Retry_After": header} if header else {}))
    with pytest.raises(CloudUnreachableError) as caught, translated("listing images"):
        raise_from_response(response)
    assert caught.value.retry_after == expected
    with pytest.raises(CloudUnreachableError) as caught, translated("logging in"):
        raise from_response(response, "GET", "http://keystone.example.org/v3")
    assert caught.value.retry_after == expected


def test_the_same_fault_is_told_in_the_same_words_each_time() -> None:
    """Otherwise each try would write the status again."""

    def said(number: str) -> str:
        text = (
            "Unexpected API Error. <class 'oslo.Error'> "
            f"(HTTP 500) (Request-ID: req-{number}d69c5ab-5a35-4e9a-8d27-92ab3b0d4d0)"
        )
        error = keystoneauth1.exceptions.InternalServerError(text)
        with pytest.raises(CloudError) as caught, translated("listing servers"):
            raise error
        return str(caught.value)

    assert said("1") == said("2")
    assert said("1").endswith("(HTTP 500)")


def test_an_error_without_an_answer_asks_for_nothing() -> None:
    with pytest.raises(CloudError) as caught, translated("listing images"):
        raise openstack.exceptions.SDKException("no")
    assert caught.value.retry_after is None


@pytest.mark.parametrize(
    ("kind", "content", "sentence"),
    [
        (JSON, GLANCE, "Image 7 is in use."),
        (JSON, NOVA, "Image 7 is in use."),
        (JSON, KEYSTONE, "Image 7 is in use."),
        (JSON, KEYSTONE.replace(b"in use", b"in\\u001b[2J\\u202e use"), "Image 7 is in[2J use."),
        # What another server than a cloud may say: nothing of it is shown.
        ("text/html; charset=UTF-8", PAGE, OF_A_PROXY),
        ("text/html", b"<title>hunter2</title>", NONE),
        ("text/plain", b"db_password=hunter2", NONE),
        ("text/plain", KEYSTONE, NONE),
        ("", KEYSTONE, NONE),
        (JSON, PAGE, NONE),
        (JSON, b'"hunter2"', NONE),
        (JSON, b'{"detail": "hunter2"}', NONE),
        (JSON, b'{"message": "hunter2"}', NONE),
        (JSON, b'{"message": "hunter2", "code": 409, "password": "x"}', NONE),
        (JSON, KEYSTONE.replace(b"409", b"404"), NONE),
        (JSON, b'{"error": {"code": 409, "message": {"password": "hunter2"}}}', NONE),
        (JSON, b'{"error": "hunter2"}', NONE),
    ],
)
def test_an_error_is_told_in_the_words_of_openstack_alone(
    kind: str, content: bytes, sentence: str
) -> None:
    response = answer(409, Content_Type=kind)
    response._content = content
    with pytest.raises(ConflictError) as caught, translated("deleting image 7"):
        raise_from_response(response)
    assert str(caught.value) == f"deleting image 7: {sentence}"
    with pytest.raises(ConflictError) as caught, translated("logging in"):
        raise from_response(response, "GET", "http://keystone.example.org/v3")
    assert str(caught.value).removesuffix(" (HTTP 409)") == f"logging in: {sentence}"


@pytest.mark.parametrize(
    "error",
    [
        keystoneauth1.exceptions.DiscoveryFailure("Bad version data returned: hunter2..."),
        openstack.exceptions.ServiceDiscoveryException("Failed: hunter2"),
        keystoneauth1.exceptions.ClientException("hunter2"),
        openstack.exceptions.SDKException("hunter2"),
        KeyError("hunter2"),
        ValueError("hunter2"),
        RecursionError("hunter2"),
    ],
)
def test_what_a_library_quotes_of_an_answer_is_not_told(error: Exception) -> None:
    with pytest.raises(CloudError) as caught, translated("logging in"):
        raise error
    assert "hunter2" not in str(caught.value)
    assert str(caught.value).startswith("logging in: the ")
