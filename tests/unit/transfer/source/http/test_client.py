"""Credentials, TLS, proxies and mirrors of a source."""

import base64
import hashlib
import socket
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from cloudimage.transfer.contract import Checksum, Limits, Reason, TransferError, UrlPolicy
from cloudimage.transfer.source.http.model import HttpAuth, HttpSource
from support.fetching import CONTENT, LOOPBACK, RIGHT, resolver, transfer
from support.hostile_server import Hostile, Script, answer, redirect
from testbed.kubernetes.certificates import Authority
from testbed.process import free_ports

GOOD = answer(CONTENT)
NOT_FOUND = answer(b"", status="404 Not Found")
BUSY = answer(b"", "Retry-After: 7", status="503 Busy")


def header(head: bytes, name: str) -> str | None:
    """Return a request's header."""
    for line in head.decode("latin-1").split("\r\n")[1:]:
        key, _, value = line.partition(": ")
        if key.lower() == name:
            return value
    return None


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize(
    ("auth", "name", "value"),
    [
        (HttpAuth(username="me", password="p:ä"), "authorization", basic("me", "p:ä")),
        (HttpAuth(username="me"), "authorization", basic("me", "")),
        (HttpAuth(bearer="token"), "authorization", "Bearer token"),
        (HttpAuth(headers={"X-Key": "k"}), "x-key", "k"),
        (HttpAuth(headers={"Authorization": "token k"}), "authorization", "token k"),
    ],
)
def test_credentials_stay_at_their_origin(
    auth: HttpAuth, name: str, value: str, tmp_path: Path
) -> None:
    with Hostile(GOOD) as other, Hostile(redirect(other.url())) as first:
        transfer(HttpSource(url=first.url(), auth=auth), tmp_path)
    assert header(first.requests[0], name) == value
    assert header(other.requests[0], name) is None


def test_credentials_follow_within_their_origin(tmp_path: Path) -> None:
    def script(connection: socket.socket, head: bytes) -> None:
        (GOOD if b"/there" in head else redirect("/there"))(connection, head)

    with Hostile(script) as server:
        auth = HttpAuth(bearer="token")
        transfer(HttpSource(url=server.url(), auth=auth), tmp_path)
    assert [header(head, "authorization") for head in server.requests] == ["Bearer token"] * 2


def test_each_mirror_gets_the_credentials(tmp_path: Path) -> None:
    with Hostile(NOT_FOUND) as first, Hostile(GOOD) as second:
        auth = HttpAuth(bearer="token")
        source = HttpSource(url=first.url(), mirrors=(second.url(),), auth=auth)
        transfer(source, tmp_path)
    assert header(second.requests[0], "authorization") == "Bearer token"


def test_credentials_of_a_url_go_before_those_of_the_source(tmp_path: Path) -> None:
    with Hostile(GOOD) as server:
        source = HttpSource(
            url=server.url().replace("://", "://own:p%40ss@"), auth=HttpAuth(bearer="token")
        )
        transfer(source, tmp_path)
    assert header(server.requests[0], "authorization") == basic("own", "p@ss")


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "other"},
        {"range": "bytes=0-"},
        {"Content-Length": "5"},
        {"X-Key": "s3cret\r\nHost: other"},
        {"X\r\nY": "s3cret"},
        {"X Y": "s3cret"},
        {"": "s3cret"},
        {"X-Key": "s3cret\u2603"},
    ],
)
def test_headers_that_would_break_a_request(headers: dict[str, str], tmp_path: Path) -> None:
    source = HttpSource(url="http://127.0.0.1/x", auth=HttpAuth(headers=headers))
    with pytest.raises(TransferError) as caught:
        transfer(source, tmp_path)
    assert caught.value.reason is Reason.INVALID_REQUEST
    assert "s3cret" not in caught.value.message


def test_bearer_that_would_break_a_request(tmp_path: Path) -> None:
    source = HttpSource(url="http://127.0.0.1/x", auth=HttpAuth(bearer="s3cret\n"))
    with pytest.raises(TransferError) as caught:
        transfer(source, tmp_path)
    assert caught.value.reason is Reason.INVALID_REQUEST
    assert "s3cret" not in caught.value.message


@pytest.mark.parametrize("script", [NOT_FOUND, BUSY, answer(b"x", length=5)])
def test_secrets_are_in_no_message(script: Script, tmp_path: Path) -> None:
    auth = HttpAuth(username="s3cret", password="s3cret", headers={"X-Key": "s3cret"})
    with Hostile(script) as server, pytest.raises(TransferError) as caught:
        transfer(HttpSource(url=server.url(), auth=auth), tmp_path)
    assert "s3cret" not in caught.value.message
    assert "s3cret" not in repr(HttpSource(url=server.url(), auth=auth))


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.new()


@pytest.fixture
def certificate(authority: Authority, tmp_path: Path) -> Path:
    """A server's certificate, for localhost and 127.0.0.1."""
    authority.issue_server(tmp_path / "server")
    return tmp_path / "server"


def pem(authority: Authority) -> str:
    return authority.certificate.public_bytes(serialization.Encoding.PEM).decode()


def test_ca_of_the_source(authority: Authority, certificate: Path, tmp_path: Path) -> None:
    with Hostile(GOOD, certificate) as server:
        source = HttpSource(url=server.url(), ca_certificate=pem(authority), checksum=RIGHT)
        assert transfer(source, tmp_path).size == len(CONTENT)


def test_ca_of_the_source_wins_over_the_environment(
    authority: Authority, certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other.pem"
    other.write_text(pem(Authority.new()))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(other))
    with Hostile(GOOD, certificate) as server:
        source = HttpSource(url=server.url(), ca_certificate=pem(authority), checksum=RIGHT)
        assert transfer(source, tmp_path).size == len(CONTENT)


def test_authority_that_is_not_trusted(certificate: Path, tmp_path: Path) -> None:
    source_ca = pem(Authority.new())
    with Hostile(GOOD, certificate) as server, pytest.raises(TransferError) as caught:
        transfer(HttpSource(url=server.url(), ca_certificate=source_ca), tmp_path)
    assert caught.value.reason is Reason.SOURCE_UNREACHABLE
    assert "not trusted" in caught.value.message
    assert server.requests == []


def test_name_that_is_not_the_certificates(
    authority: Authority, certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", resolver(["127.0.0.1"]))
    with Hostile(GOOD, certificate) as server:
        source = HttpSource(url=server.url(host="images.test"), ca_certificate=pem(authority))
        with pytest.raises(TransferError) as caught:
            transfer(source, tmp_path)
    assert caught.value.reason is Reason.SOURCE_UNREACHABLE
    assert "images.test: its TLS certificate is not trusted" in caught.value.message
    assert server.requests == []


def test_file_that_another_authority_vouched_for_is_not_taken(
    authority: Authority, certificate: Path, tmp_path: Path
) -> None:
    with Hostile(answer(CONTENT, 'ETag: "one"'), certificate) as server:
        source = HttpSource(url=server.url(), ca_certificate=pem(authority), checksum=RIGHT)
        transfer(source, tmp_path)
        (tmp_path / "run" / "source").unlink()
        other = source.model_copy(update={"ca_certificate": pem(Authority.new())})
        with pytest.raises(TransferError, match="certificate is not trusted"):
            transfer(other, tmp_path)
        transfer(source, tmp_path)
    assert len(server.requests) == 1


def test_ca_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(TransferError) as caught:
        transfer(HttpSource(url="https://127.0.0.1/", ca_certificate="s3cret"), tmp_path)
    assert caught.value.reason is Reason.INVALID_REQUEST
    assert "s3cret" not in caught.value.message


@pytest.mark.parametrize("checksum", [None, RIGHT])
def test_https_leads_to_http_only_with_a_checksum(
    checksum: Checksum | None, authority: Authority, certificate: Path, tmp_path: Path
) -> None:
    with Hostile(GOOD) as plain, Hostile(redirect(plain.url()), certificate) as server:
        source = HttpSource(url=server.url(), ca_certificate=pem(authority), checksum=checksum)
        if checksum:
            assert transfer(source, tmp_path).size == len(CONTENT)
            return
        with pytest.raises(TransferError) as caught:
            transfer(source, tmp_path)
    assert caught.value.reason is Reason.SOURCE_REFUSED
    assert plain.requests == []


BAD = {
    "refuses": None,
    "has not": NOT_FOUND,
    "is busy": BUSY,
    "has a page": answer(b"<html>"),
    "ends early": answer(CONTENT, length=len(CONTENT) + 1),
    "has other bytes": answer(CONTENT[::-1]),
    "has too many bytes": answer(b"", length=10**12),
    "redirects to the metadata": redirect("http://169.254.169.254/"),
}


@pytest.mark.parametrize("bad", BAD)
def test_next_mirror_after_one_that(bad: str, tmp_path: Path) -> None:
    with Hostile(BAD[bad] or NOT_FOUND) as first, Hostile(GOOD) as second:
        url = first.url() if BAD[bad] else f"http://127.0.0.1:{free_ports(1)[0]}/"
        source = HttpSource(url=url, mirrors=(second.url(),), checksum=RIGHT)
        fetched = transfer(source, tmp_path)
    assert fetched.checksums["sha256"] == hashlib.sha256(CONTENT).hexdigest()


def test_first_that_is_good_is_enough(tmp_path: Path) -> None:
    with Hostile(GOOD) as first, Hostile(GOOD) as second:
        transfer(HttpSource(url=first.url(), mirrors=(second.url(),)), tmp_path)
    assert second.requests == []


def test_failure_tells_what_each_said(tmp_path: Path) -> None:
    scripts = (answer(b"<html>"), BUSY, answer(CONTENT[::-1]))
    with Hostile(scripts[0]) as one, Hostile(scripts[1]) as two, Hostile(scripts[2]) as three:
        source = HttpSource(
            url=one.url(), mirrors=(two.url("/x?s3cret=1"), three.url()), checksum=RIGHT
        )
        with pytest.raises(TransferError) as caught:
            transfer(source, tmp_path)
    message = caught.value.message
    assert caught.value.reason is Reason.SOURCE_UNREACHABLE  # the one that may pass
    assert caught.value.retry_after == 7
    assert message.startswith("none of the 3 URLs returned the image: ")
    assert all(each in message for each in ("web page", "503", "the sha256 of"))
    assert "s3cret" not in message


def test_failure_that_none_will_mend(tmp_path: Path) -> None:
    with Hostile(answer(b"<html>")) as one, Hostile(answer(CONTENT[::-1])) as two:
        source = HttpSource(url=one.url(), mirrors=(two.url(),), checksum=RIGHT)
        with pytest.raises(TransferError) as caught:
            transfer(source, tmp_path)
    assert caught.value.reason is Reason.SOURCE_NOT_AN_IMAGE


def test_full_scratch_ends_it_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Hostile(GOOD) as one, Hostile(GOOD) as two:
        source = HttpSource(url=one.url(), mirrors=(two.url(),))
        with pytest.raises(TransferError) as caught:
            transfer(source, tmp_path, limits=Limits(max_scratch=1000))
    assert caught.value.reason is Reason.INSUFFICIENT_SCRATCH
    assert two.requests == []


@pytest.fixture
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.usefixtures("no_environment")
@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY"])
def test_proxy_of_the_environment(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own address is the operator's choice; a name it alone can resolve is left to it."""
    with Hostile(GOOD) as proxy:
        monkeypatch.setenv(variable, proxy.url(""))
        transfer(HttpSource(url="http://images.invalid/disk.img"), tmp_path, UrlPolicy())
    assert proxy.requests[0].startswith(b"GET http://images.invalid/disk.img HTTP/1.1\r\n")


@pytest.mark.usefixtures("no_environment")
@pytest.mark.parametrize("host", ["169.254.169.254", "localhost", "[::1]", "2130706433"])
def test_policy_behind_a_proxy(host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Hostile(GOOD) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url(""))
        with pytest.raises(TransferError) as caught:
            transfer(HttpSource(url=f"http://{host}/"), tmp_path, UrlPolicy())
    assert caught.value.reason is Reason.SOURCE_REFUSED
    assert proxy.requests == []


@pytest.mark.usefixtures("no_environment")
def test_redirect_behind_a_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Hostile(redirect("http://10.0.0.1/")) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url(""))
        with pytest.raises(TransferError) as caught:
            transfer(HttpSource(url="http://images.invalid/"), tmp_path, UrlPolicy())
    assert caught.value.reason is Reason.SOURCE_REFUSED
    assert len(proxy.requests) == 1


@pytest.mark.usefixtures("no_environment")
def test_tunnel_through_a_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Hostile(answer(b"", status="403 Forbidden")) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url(""))
        with pytest.raises(TransferError) as caught:
            transfer(HttpSource(url="https://images.invalid/disk.img"), tmp_path, UrlPolicy())
    assert caught.value.reason is Reason.SOURCE_UNREACHABLE
    assert proxy.requests[0].startswith(b"CONNECT images.invalid:443 ")


@pytest.mark.usefixtures("no_environment")
def test_no_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Hostile(GOOD) as server, Hostile(NOT_FOUND) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url(""))
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        transfer(HttpSource(url=server.url()), tmp_path, LOOPBACK)
    assert proxy.requests == []
