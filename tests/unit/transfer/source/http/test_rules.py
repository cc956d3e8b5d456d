"""What HTTP's headers mean to a fetch."""

from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest
import requests
import urllib3
from hypothesis import example, given
from hypothesis import strategies as st

from cloudimage.http_dates import retry_after
from cloudimage.transfer.contract import Reason, TransferError
from cloudimage.transfer.source.http import rules

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("120", 120.0),
        ("Thu, 01 Jan 2026 12:01:30 GMT", 90.0),
        ("Thu, 01 Jan 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("-1", None),
    ],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, NOON) == seconds


@given(st.text())
@example("0\x1f")
def test_retry_after_of_anything(value: str) -> None:
    seconds = retry_after(value, NOON)
    assert seconds is None or seconds >= 0


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"ETag": '"a"'}, '"a"'),
        ({"ETag": 'W/"a"', "Last-Modified": "x"}, None),
        ({}, None),
        (
            {
                "Last-Modified": "Thu, 01 Jan 2026 11:00:00 GMT",
                "Date": "Thu, 01 Jan 2026 12:00:00 GMT",
            },
            "Thu, 01 Jan 2026 11:00:00 GMT",
        ),
        (
            {
                "Last-Modified": "Thu, 01 Jan 2026 12:00:00 GMT",
                "Date": "Thu, 01 Jan 2026 12:00:00 GMT",
            },
            None,
        ),
        ({"Last-Modified": "Thu, 01 Jan 2026 11:00:00 GMT"}, None),
    ],
)
def test_validator_is_a_strong_one(headers: dict[str, str], expected: str | None) -> None:
    assert rules.validator(headers) == expected


@pytest.mark.parametrize(
    ("headers", "length"),
    [
        ({"Content-Length": "7"}, 7),
        ({"Content-Length": "-7"}, None),
        ({"Content-Length": "7", "Transfer-Encoding": "chunked"}, None),
        ({}, None),
    ],
)
def test_content_length(headers: dict[str, str], length: int | None) -> None:
    assert rules.content_length(headers) == length


@pytest.mark.parametrize(
    ("value", "expected"),
    [("bytes 5-9/10", (5, 10)), ("bytes 5-9/*", None), ("bytes */10", None), ("", None)],
)
def test_content_range(value: str, expected: tuple[int, int] | None) -> None:
    assert rules.resumes_at({"Content-Range": value}) == expected


def test_redaction_keeps_where_and_drops_what_is_secret() -> None:
    url = "https://user:pass@host.example:8443/a/b.qcow2?X-Amz-Signature=abc#frag"
    assert rules.redacted(url) == "https://host.example:8443/a/b.qcow2"


@pytest.mark.parametrize(
    ("location", "verified", "expected"),
    [
        ("/c", False, "https://a.example/c"),
        ("//b.example/c", False, "https://b.example/c"),
        ("http://b.example/c", True, "http://b.example/c"),
        ("http://b.example/c", False, None),
        ("file:///etc/passwd", True, None),
        ("http://[::1", True, None),
    ],
)
def test_redirects(location: str, verified: bool, expected: str | None) -> None:
    def follow() -> str:
        return rules.redirect_target("https://a.example/x", location, verified=verified)

    if expected:
        assert follow() == expected
        return
    with pytest.raises(TransferError) as caught:
        follow()
    assert caught.value.reason is Reason.SOURCE_REFUSED


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ("https://a.example/y", True),
        ("http://a.example/x", False),
        ("https://a.example:8443/x", False),
        ("https://b.example/x", False),
    ],
)
def test_same_origin(other: str, same: bool) -> None:
    assert rules.same_origin("https://a.example/x", other) is same


@pytest.mark.parametrize(
    ("beginning", "page"),
    [
        (b"\n<!DOCTYPE html>", True),
        (b"<HTML lang=en>", True),
        (b"<?xml version='1.0'?><Error/>", True),
        (b"QFI\xfb", False),
        (b"", False),
        (b"x<html>", False),
    ],
)
def test_pages(beginning: bytes, page: bool) -> None:
    assert rules.looks_like_page(beginning) is page


ODD = st.text(alphabet="ab.0:1@/?#[]%\\\t\n\r -_~!$&'()*+,;=\x00\x7f", max_size=30)


@given(st.sampled_from(["http://", "https://", "HTTP://", "http:/", "//", ""]), ODD)
def test_host_is_the_same_to_all_who_read_a_url(scheme: str, rest: str) -> None:
    """Or credentials and the policy would be for another host than the one connected to."""
    try:
        url = rules.checked_url(scheme + rest)
        prepared = requests.Request("GET", rules.without_userinfo(url)).prepare()
    except (TransferError, requests.exceptions.InvalidURL):
        return
    host = urllib3.util.parse_url(prepared.url or "").host or ""
    assert host.strip("[]").lower() == urlsplit(url).hostname


@given(ODD, st.booleans())
def test_redirects_to_anything(location: str, verified: bool) -> None:
    try:
        target = rules.redirect_target("https://a.example/x", location, verified=verified)
    except TransferError as error:
        assert error.reason is Reason.SOURCE_REFUSED  # noqa: PT017 - either is right
        return
    assert urlsplit(target).scheme == "https" or verified


@given(st.text(max_size=50) | st.from_regex(r"bytes [0-9]+-[0-9]+/[0-9]+", fullmatch=True))
def test_headers_of_anything(value: str) -> None:
    headers = {
        "Content-Length": value,
        "Content-Range": value,
        "ETag": value,
        "Content-Type": value,
    }
    assert (rules.content_length(headers) or 0) < 10**18
    assert rules.resumes_at(headers) is None or value.startswith("bytes ")
    assert not (rules.validator(headers) or "").startswith("W/")
    rules.is_page(headers)


def test_length_of_thousands_of_digits() -> None:
    assert rules.content_length({"Content-Length": "9" * 5000}) is None
    assert rules.resumes_at({"Content-Range": f"bytes 0-1/{'9' * 5000}"}) is None


def test_ports_that_are_the_default_ones() -> None:
    assert rules.same_origin("https://a.example/", "https://a.example:443/")
    assert not rules.same_origin("http://a.example/", "http://a.example:443/")


@pytest.mark.parametrize("known", ['"8eead23c"', "8eead23c58fcbcb0629d9470a159889f"])
def test_a_tag_with_or_without_quotes_tells_another_version(known: str) -> None:
    assert rules.validator({"ETag": known}) == known
    modified = {"Last-Modified": "Mon, 30 Nov 2026 03:44:52 GMT"}
    assert rules.is_same({"ETag": known, **modified}, known)
    assert not rules.is_same({"ETag": known.replace("8", "9"), **modified}, known)
    assert not rules.is_same(modified, known)
