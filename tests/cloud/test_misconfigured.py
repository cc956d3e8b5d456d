"""Mistakes in clouds.yaml are told from a cloud that is away, with the key to change."""

import datetime as dt
import http.server
import ipaddress
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cloudimage.cloud.config import CloudConfig
from cloudimage.cloud.connection import open_cloud
from cloudimage.cloud.errors import (
    CloudError,
    CloudMisconfiguredError,
    CloudUnreachableError,
    InvalidCredentialsError,
)
from support.fault_proxy import Fault, FaultProxy
from testbed.kubernetes.certificates import Authority
from testbed.openstack import OpenStack
from testbed.process import free_ports

pytestmark = pytest.mark.cloud

Entry = dict[str, Any]

NGINX = (
    b"<html>\r\n<head><title>%d %b</title></head>\r\n<body>\r\n<center><h1>%d %b</h1></center>\r\n"
    b"<hr><center>nginx/1.24.0</center>\r\n</body>\r\n</html>\r\n"
)
SITE = b"<!DOCTYPE html><html><head><title>Example Domain</title></head><body>Hi</body></html>"


def at(entry: Entry, auth_url: str) -> Entry:
    return entry | {"auth": entry["auth"] | {"auth_url": auth_url}}


def ended(entry: Entry, certificate: str | None = None) -> CloudError:
    """Return what the use of an entry ends with."""
    with (
        pytest.raises(CloudError) as caught,
        open_cloud(CloudConfig(entry, certificate)) as cloud,
    ):
        cloud.glance.find("cloudimage_test", "nothing")
    return caught.value


def both(status: int, content: bytes, *, get: int | None = None) -> tuple[Fault, ...]:
    """Have Keystone play another server, whatever is asked."""
    return (
        Fault("GET", "", "answer", times=99, status=get or status, content=content),
        Fault("POST", "", "answer", times=99, status=status, content=content),
    )


def ways(openstack: OpenStack) -> list[Entry]:
    """Return entries that log in directly, and after a question for Keystone's versions."""
    return [openstack.cloud("images"), openstack.cloud("images-password")]


@pytest.fixture
def context(tmp_path: Path) -> tuple[ssl.SSLContext, str]:
    """TLS of a server by an authority of its own, whose certificate it is returned with."""
    authority, stem = Authority.new(), tmp_path / "server"
    authority.issue_server(stem)
    return tls(stem), authority.pem


def tls(stem: Path) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(stem.with_suffix(".crt"), stem.with_suffix(".key"))
    return made


def self_signed(folder: Path, name: str, days: int) -> tuple[ssl.SSLContext, str]:
    """Return TLS by a certificate as ``openssl req -x509`` makes it, and its PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    names: list[x509.GeneralName] = [x509.DNSName(name)]
    if name == "127.0.0.1":
        names = [x509.IPAddress(ipaddress.ip_address(name))]
    end = dt.datetime.now(dt.UTC) + dt.timedelta(days=days)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(end - dt.timedelta(days=30))
        .not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    (folder / "self.crt").write_bytes(pem)
    (folder / "self.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return tls(folder / "self"), pem.decode()


def test_a_path_where_no_keystone_is(openstack: OpenStack) -> None:
    server = openstack.auth_url.removesuffix("/v3")
    for entry in ways(openstack):
        for path in ("/v2.0", "/v2.0/"):
            error = ended(at(entry, server + path))
            assert isinstance(error, CloudMisconfiguredError)
            assert f"write {server}/v3 instead of {server}{path} in auth.auth_url" in str(error)
        for path in ("/identity/v3", "/v4", "/v3/auth/tokens"):
            error = ended(at(entry, server + path))
            assert isinstance(error, CloudMisconfiguredError), path
            assert f"no Keystone answers at {server}{path}" in str(error)
            assert "auth.auth_url" in str(error)


@pytest.mark.parametrize("place", ["/v3", ""])
def test_a_web_server_where_keystone_should_be(openstack: OpenStack, place: str) -> None:
    moved = Fault("POST", "", "answer", times=99, status=301)
    moved.headers = (("Location", "https://www.example.org/"),)
    servers = {
        "not a valid": both(200, SITE),
        "404": both(404, NGINX % (404, b"Not Found", 404, b"Not Found")),
        "405": both(405, SITE, get=200),
        "400 The plain": both(
            400,
            NGINX % (400, b"The plain HTTP request was sent to HTTPS port", 400, b"Bad Request"),
        ),
        "redirects": (moved, Fault("GET", "", "answer", 99, status=301, headers=moved.headers)),
    }
    for word, faults in servers.items():
        for entry in ways(openstack):
            with FaultProxy(openstack.auth_url, *faults) as proxy:
                error = ended(at(entry, proxy.url + place))
            assert isinstance(error, CloudMisconfiguredError), word
            assert "auth.auth_url" in str(error)
            assert "Example Domain" not in str(error)
    with FaultProxy(openstack.auth_url, *servers["404"]) as proxy:
        assert 'a page, "404 Not Found"' in str(ended(at(openstack.cloud("images"), proxy.url)))


def test_a_login_that_is_wanted_before_the_login_does_not_hang(openstack: OpenStack) -> None:
    with FaultProxy(openstack.auth_url, *both(401, SITE)) as proxy:
        for entry in ways(openstack):
            error = ended(at(entry, proxy.url))
            assert isinstance(error, CloudMisconfiguredError | InvalidCredentialsError)


def test_certificates_that_are_not_accepted(
    openstack: OpenStack, tmp_path: Path, context: tuple[ssl.SSLContext, str]
) -> None:
    made: list[tuple[tuple[ssl.SSLContext, str], bool, str]] = [
        (context, False, "into the key cacert of the Secret"),
        ((context[0], Authority.new().pem), True, "into the key cacert of the Secret"),
        (self_signed(tmp_path, "127.0.0.1", 30), False, "self-signed certificate"),
        (self_signed(tmp_path, "127.0.0.1", -1), True, "has expired; whoever runs the cloud"),
        (self_signed(tmp_path, "127.0.0.1", 60), True, "is not valid yet"),
        (self_signed(tmp_path, "keystone.example.org", 30), True, "is for other host names"),
    ]
    for (served, authority), known, word in made:
        with FaultProxy(openstack.auth_url, tls=served) as proxy:
            for entry in ways(openstack):
                error = ended(at(entry, proxy.url + "/v3"), authority if known else None)
                assert isinstance(error, CloudMisconfiguredError), word
                assert word in str(error)
                assert proxy.url in str(error)


def test_tls_and_no_tls_on_each_others_port(
    openstack: OpenStack, context: tuple[ssl.SSLContext, str]
) -> None:
    for entry in ways(openstack):
        error = ended(at(entry, openstack.auth_url.replace("http", "https", 1)))
        assert isinstance(error, CloudMisconfiguredError)
        assert "does not speak TLS; write http://" in str(error)
        with FaultProxy(openstack.auth_url, tls=context[0]) as proxy:
            error = ended(at(entry, proxy.url.replace("https", "http") + "/v3"))
        assert isinstance(error, CloudMisconfiguredError)
        assert "speaks only TLS; write https:// in auth.auth_url" in str(error)


def test_a_catalogue_without_such_an_image_service(openstack: OpenStack) -> None:
    wrong: list[tuple[Entry, str]] = [
        ({"region_name": "Nowhere"}, "region_name Nowhere"),
        ({"image_region_name": "Nowhere"}, "region_name Nowhere"),
        ({"interface": "admin"}, "interface admin"),
        ({"image_service_name": "imagery"}, "image_service_name imagery"),
        ({"image_service_type": "imagery"}, "image_service_type imagery"),
    ]
    for entry in ways(openstack):
        for options, word in wrong:
            error = ended(entry | options)
            assert isinstance(error, CloudMisconfiguredError), options
            assert word in str(error)
            assert "it has: RegionOne (internal), RegionOne (public)." in str(error)
    error = ended(openstack.cloud("images") | {"image_api_version": "1"})
    assert isinstance(error, CloudMisconfiguredError)
    assert "image_api_version" in str(error)


def test_an_endpoint_that_is_not_glance(
    openstack: OpenStack, context: tuple[ssl.SSLContext, str]
) -> None:
    entry, glance = openstack.cloud("images"), str(openstack.connect("images").image.get_endpoint())

    def by(url: str) -> CloudError:
        return ended(entry | {"image_endpoint_override": url})

    assert "image_endpoint_override" in str(by(openstack.auth_url))
    assert isinstance(by(openstack.auth_url), CloudMisconfiguredError)
    for status, content in ((200, SITE), (404, SITE)):
        with FaultProxy(glance, *both(status, content)) as proxy:
            assert isinstance(by(proxy.url), CloudMisconfiguredError)
    with FaultProxy(glance, tls=context[0]) as proxy:
        error = by(proxy.url)
    assert isinstance(error, CloudMisconfiguredError)
    assert "cacert" in str(error)


def test_what_may_pass_is_still_a_cloud_that_is_away(openstack: OpenStack) -> None:
    entry = openstack.cloud("images")
    refused = f"http://127.0.0.1:{free_ports(1)[0]}"
    for way in ways(openstack):
        assert isinstance(ended(at(way, f"{refused}/v3")), CloudUnreachableError)
        error = ended(at(way, "https://keystone.invalid:5000/v3"))
        assert isinstance(error, CloudUnreachableError)
        assert "keystone.invalid" in str(error)
        for status, phrase in ((502, b"Bad Gateway"), (504, b"Gateway Time-out")):
            page = NGINX % (status, phrase, status, phrase)
            with FaultProxy(openstack.auth_url, *both(status, page)) as proxy:
                error = ended(at(way, proxy.url + "/v3"))
            assert isinstance(error, CloudUnreachableError)
            assert f'a page, "{status} {phrase.decode()}", probably of a proxy' in str(error)
    assert isinstance(ended(entry | {"image_endpoint_override": refused}), CloudUnreachableError)
    with hanging_up() as url:
        assert isinstance(ended(at(entry, url)), CloudUnreachableError)


@contextmanager
def hanging_up() -> Iterator[str]:
    """Yield the URL of a server that ends each connection without an answer, TLS or not."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def handle(self) -> None:
            """Read a little, and hang up."""
            self.connection.recv(100)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    run: Callable[[], None] = server.serve_forever
    threading.Thread(target=run, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
