"""What each answer and each exception of a cloud is taken for."""

import json
import ssl
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import requests
import urllib3
from keystoneauth1 import exceptions as keystone
from keystoneauth1.exceptions.http import from_response
from openstack import exceptions as sdk

from cloudimage.access.errors import (
    AddressRefusedError,
    AnswerRefusedError,
    RedirectRefusedError,
)
from cloudimage.access.failures import EXCEPTIONS, Failure, Kind, of_exception, of_response

PAGE = "<html><body>db_password=hunter2</body></html>"
ID = "req-4d69c5ab-5a35-4e9a-8d27-92ab3b0d4d05"


def answer(
    status: int, text: str = "why", *, kind: str = "application/json", **headers: str
) -> requests.Response:
    """Return an answer as Glance makes it; a text of another kind is the whole body."""
    response = requests.Response()
    response.status_code = status
    response.url = "http://glance.example.org/v2/images"
    body = {"message": text, "code": f"{status} It", "title": "It"}
    response._content = (json.dumps(body) if "json" in kind else text).encode()
    response.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    response.headers["Content-Type"] = kind
    return response


def all_ways(response: requests.Response) -> list[Failure]:
    """Return what the answer is taken for as it is, and as each of the libraries raises it."""
    with pytest.raises(sdk.HttpException) as caught:
        sdk.raise_from_response(response)
    login = from_response(response, "GET", response.url)
    return [of_response(response), of_exception(caught.value), of_exception(login)]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Kind.INVALID),
        (401, Kind.INVALID_CREDENTIALS),
        (403, Kind.FORBIDDEN),
        (404, Kind.NOT_FOUND),
        (409, Kind.CONFLICT),
        (410, Kind.OTHER),
        (413, Kind.QUOTA_EXCEEDED),
        (415, Kind.UNSUPPORTED),
        (429, Kind.UNAVAILABLE),
        (500, Kind.FAULT),
        (501, Kind.FAULT),
        (502, Kind.UNAVAILABLE),
        (503, Kind.UNAVAILABLE),
        (504, Kind.UNAVAILABLE),
        (520, Kind.FAULT),
    ],
)
def test_a_status_means_the_same_whoever_tells_it(status: int, kind: Kind) -> None:
    for failure in all_ways(answer(status)):
        assert (failure.kind, failure.status, failure.retry_after) == (kind, status, None)
        assert failure.sentence.removesuffix(f" (HTTP {status})") == "why"


@pytest.mark.parametrize(
    ("body", "kind", "sentence"),
    [
        ("Image 7 is <b>in use</b>.<br /><br />\n\n", "application/json", "Image 7 is in use ."),
        (f"It broke. (HTTP 500) (Request-ID: {ID})", "application/json", "It broke. (HTTP 500)"),
        (f"It broke: {ID}", "application/json", "It broke:"),
        (PAGE, "text/html; charset=UTF-8", None),
        (PAGE, "application/problem+json", None),
        (f"{ID}", "text/plain", None),
    ],
)
def test_a_body_is_told_if_it_is_the_apis(body: str, kind: str, sentence: str | None) -> None:
    for failure in all_ways(answer(409, body, kind=kind)):
        assert failure.kind is Kind.CONFLICT
        assert "hunter2" not in failure.sentence
        assert (sentence or "reason that can be shown") in failure.sentence
        assert "req-" not in failure.sentence


NGINX = (
    "<html>\r\n<head><title>{0}</title></head>\r\n<body>\r\n<center><h1>{0}</h1></center>\r\n"
    "<hr><center>nginx/1.18.0 (Ubuntu)</center>\r\n</body>\r\n</html>\r\n"
)
HAPROXY = (
    "<html><body><h1>504 Gateway Time-out</h1>\n"
    "The server didn't respond in time.\n</body></html>\n"
)
APACHE = (
    '<!DOCTYPE HTML PUBLIC "-//IETF//DTD HTML 2.0//EN">\n'
    "<html><head>\n<title>403 Forbidden</title>\n</head><body>\n<h1>Forbidden</h1>\n"
    "<p>You don't have permission to access this resource.</p>\n<hr>\n"
    "<address>Apache/2.4.57 (Debian) Server at 10.1.2.3 Port 443</address>\n</body></html>\n"
)


@pytest.mark.parametrize(
    ("status", "page", "server", "kind", "words"),
    [
        (
            413,
            NGINX.format("413 Request Entity Too Large"),
            "nginx/1.18.0 (Ubuntu)",
            Kind.BODY_LIMIT,
            'a page by nginx, "413 Request Entity Too Large", probably of a proxy',
        ),
        (
            403,
            NGINX.format("403 Forbidden"),
            "nginx",
            Kind.FORBIDDEN,
            'by nginx, "403 Forbidden", probably of a proxy',
        ),
        (403, APACHE, "Apache/2.4.57 (Debian)", Kind.FORBIDDEN, 'by Apache, "403 Forbidden", prob'),
        (504, HAPROXY, "", Kind.UNAVAILABLE, 'a page, "504 Gateway Time-out", probably of a proxy'),
        # A server of another kind is not named, and a heading that is no status not shown.
        (
            502,
            NGINX.format("502 Bad Gateway"),
            "hunter2",
            Kind.UNAVAILABLE,
            'a page, "502 Bad Gateway", probably of a proxy',
        ),
        (413, NGINX.format("hunter2"), "nginx", Kind.BODY_LIMIT, "reason that can be shown"),
        (413, NGINX.format("4134 hunter2"), "nginx", Kind.BODY_LIMIT, "reason that can be shown"),
        (413, "hunter2", "nginx", Kind.BODY_LIMIT, "reason that can be shown"),
    ],
)
def test_a_proxys_page_is_told_by_its_heading(
    status: int, page: str, server: str, kind: Kind, words: str
) -> None:
    response = answer(status, page, kind="text/html", **({"Server": server} if server else {}))
    for failure in all_ways(response):
        assert (failure.kind, failure.status) == (kind, status)
        assert words in failure.sentence
        assert "hunter2" not in failure.sentence
        assert "10.1.2.3" not in failure.sentence


LIMIT = (
    "The limit has been exceeded on the number of allowed image {}. Attempted: 130, Maximum: 128"
)


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("Image exceeds the storage quota: 9 bytes remaining.<br /><br />", Kind.QUOTA_EXCEEDED),
        ("Image storage media is full: there is no place", Kind.QUOTA_EXCEEDED),
        ("The incoming image is too large: The provided image is too large.", Kind.TOO_LARGE),
        (LIMIT.format("properties"), Kind.INVALID),
        (LIMIT.format("tags"), Kind.INVALID),
        (LIMIT.format("members for this image"), Kind.QUOTA_EXCEEDED),
    ],
)
def test_a_413_of_glance_has_several_causes(message: str, kind: Kind) -> None:
    """Its words are those of glance/common/exception.py and glance/api/v2/image_data.py."""
    for failure in all_ways(answer(413, message)):
        assert failure.kind is kind


def test_a_retry_after_is_in_seconds_or_a_date() -> None:
    then = format_datetime(datetime.now(UTC) + timedelta(minutes=10), usegmt=True)
    past = format_datetime(datetime.now(UTC) - timedelta(minutes=10), usegmt=True)
    asked = {"120": 120.0, then: 595.0, past: 0.0, "soon": None, "9" * 30: 86400.0}
    for header, seconds in asked.items():
        for failure in all_ways(answer(503, Retry_After=header)):
            assert failure.kind is Kind.UNAVAILABLE
            assert failure.retry_after == (seconds and pytest.approx(seconds, abs=6))


def discovery() -> keystone.DiscoveryFailure:
    """Return what a Keystone that nobody is at ends as."""
    error = keystone.DiscoveryFailure("Could not find versioned identity endpoints: hunter2")
    error.__cause__ = keystone.ConnectFailure("the connection was refused")
    return error


@pytest.mark.parametrize(
    ("error", "kind", "word"),
    [
        (AddressRefusedError("cloudPolicy does not allow it"), Kind.REFUSED, "cloudPolicy"),
        (AnswerRefusedError("it is larger than is read"), Kind.NOT_UNDERSTOOD, "larger"),
        (discovery(), Kind.UNREACHABLE, "connection was refused"),
        (keystone.DiscoveryFailure("hunter2"), Kind.UNREACHABLE, "versions"),
        (sdk.ServiceDiscoveryException("hunter2"), Kind.UNREACHABLE, "versions"),
        (sdk.NotSupported("exists but has no version"), Kind.UNREACHABLE, "exists"),
        (keystone.ConnectFailure("timed out"), Kind.UNREACHABLE, "timed out"),
        (requests.Timeout("no whole answer within 2 s"), Kind.UNREACHABLE, "within 2 s"),
        (requests.exceptions.InvalidURL("no host"), Kind.UNREACHABLE, "no host"),
        (ConnectionResetError("hunter2"), Kind.UNREACHABLE, "ConnectionResetError"),
        (ssl.SSLCertVerificationError("hunter2"), Kind.UNREACHABLE, "SSLCertVerificationError"),
        (keystone.Unauthorized("no"), Kind.INVALID_CREDENTIALS, "401"),
        (keystone.MissingAuthPlugin("no plugin"), Kind.INVALID_CREDENTIALS, "plugin"),
        (keystone.AuthorizationFailure("no login"), Kind.INVALID_CREDENTIALS, "login"),
        (sdk.ConfigException("no region"), Kind.MISCONFIGURED, "region"),
        (keystone.HttpError("x", http_status=520), Kind.FAULT, "520"),
        (sdk.HttpException("without a status"), Kind.OTHER, "without"),
        (keystone.SSLError("its certificate has expired"), Kind.MISCONFIGURED, "expired"),
        (keystone.EndpointNotFound("no endpoint"), Kind.MISCONFIGURED, "endpoint"),
        (RedirectRefusedError("it redirects elsewhere"), Kind.MISCONFIGURED, "redirects"),
        (keystone.InvalidResponse(answer(200)), Kind.OTHER, "Keystone"),
        (keystone.ClientException("hunter2"), Kind.OTHER, "ClientException"),
        (sdk.SDKException("hunter2"), Kind.OTHER, "SDKException"),
        (urllib3.exceptions.HTTPError("hunter2"), Kind.OTHER, "HTTPError"),
        (RecursionError("hunter2"), Kind.NOT_UNDERSTOOD, "RecursionError"),
        (ValueError("hunter2"), Kind.NOT_UNDERSTOOD, "ValueError"),
        (KeyError("hunter2"), Kind.NOT_UNDERSTOOD, "KeyError"),
        (
            requests.exceptions.JSONDecodeError("hunter2", "hunter2", 0),
            Kind.NOT_UNDERSTOOD,
            "JSONDecodeError",
        ),
    ],
)
def test_an_exception_is_known_and_quotes_nothing(error: Exception, kind: Kind, word: str) -> None:
    assert isinstance(error, EXCEPTIONS)
    failure = of_exception(error)
    assert (failure.kind, failure.retry_after) == (kind, None)
    assert word in failure.sentence
    assert "hunter2" not in failure.sentence
