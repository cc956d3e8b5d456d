"""What the source must be, from a real server, before the image is fetched."""

import gzip
import hashlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from cloudimage.transfer.contract import UNRESTRICTED, Checksum, Limits, Reason, TransferError
from cloudimage.transfer.source.http import side_files
from cloudimage.transfer.source.http.client import Client
from cloudimage.transfer.source.http.model import HttpSource
from cloudimage.transfer.source.http.proof import expect
from cloudimage.transfer.source.http.side_files import fetch_text
from cloudimage.transfer.tools.toolbox import Toolbox
from cloudimage.transfer.verify.verification import Expected, verify
from support.hostile_server import Hostile, answer
from support.transfer_keys import Signer
from testbed.process import free_ports
from testbed.sources import Sources

CONTENT = b"the image" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
LIMITS = Limits(stall_seconds=2)
SECRET = "s3cret"


@dataclass
class Site:
    """A publisher's site with an image, its checksums and signatures."""

    sources: Sources
    unique: str
    tools: Toolbox

    @property
    def image(self) -> str:
        """The URL of the image."""
        return self.sources.url(f"{self.unique}/disk.img")

    def put(self, name: str, content: bytes | str, **wish: Any) -> str:
        """Publish a file and return its URL."""
        data = content.encode() if isinstance(content, str) else content
        self.sources.put(f"{self.unique}/{name}", data)
        return self.sources.url(f"{self.unique}/{name}", **wish)

    def expect(self, **source: Any) -> Expected:
        """Find out what the image must be."""
        model = HttpSource.model_validate({"url": self.image, **source})
        with Client(model, UNRESTRICTED, LIMITS, self.tools.folder) as client:
            return expect(model, partial(fetch_text, client=client), self.tools)

    def sums(self, content: bytes | str, **wish: Any) -> dict[str, Any]:
        """Publish checksums and return that part of a source."""
        return {"sums": {"url": self.put("SHA256SUMS", content, **wish)}}

    def refusal(self, reason: Reason, **source: Any) -> str:
        """Return the message of a refusal."""
        with pytest.raises(TransferError) as caught:
            self.expect(**source)
        assert caught.value.reason is reason, caught.value
        assert SECRET not in caught.value.message
        return caught.value.message


@pytest.fixture
def site(sources: Sources, unique: str, tmp_path: Path) -> Site:
    site = Site(sources, unique, Toolbox(tmp_path, memory=2 * 2**30, cpu_seconds=60))
    site.put("disk.img", CONTENT)
    return site


GOOD = f"{'0' * 64}  disk.img.old\n{SHA256}  disk.img\n"


def test_nothing_is_known(site: Site) -> None:
    assert site.expect() == Expected()


def test_checksum_of_the_request(site: Site) -> None:
    checksum = Checksum(algorithm="sha256", value=SHA256)
    assert site.expect(checksum=checksum) == Expected(checksum)


def test_sums(site: Site) -> None:
    assert site.expect(**site.sums(GOOD)).checksum == Checksum(algorithm="sha256", value=SHA256)


def test_name_in_the_sums_is_the_last_part_of_the_url(site: Site) -> None:
    url = site.sources.url(f"{site.unique}/a disk.img", rate=1000)
    sums = site.sums(f"{SHA256}  a disk.img\n")
    assert site.expect(url=url, **sums).checksum is not None


def test_name_in_the_sums_that_is_given(site: Site) -> None:
    sums = site.sums(f"{SHA256}  images/x.img\n")
    sums["sums"]["filename"] = "images/x.img"
    assert site.expect(**sums).checksum is not None


BUILD = f"{SHA256}  disk-20261129.img\n"


@pytest.mark.parametrize(
    "suffix",
    [".sha256", ".SHA256", ".sha256sum", ".SHA256SUM", ".sha256.txt", "-CHECKSUM", ".sha256sums"],
)
def test_sums_beside_a_link_to_the_latest_build(site: Site, suffix: str) -> None:
    """As ``current/disk.img.sha256`` has it, where ``disk.img`` is a link."""
    sums = {"sums": {"url": site.put(f"disk.img{suffix}", BUILD)}}
    assert site.expect(**sums).checksum == Checksum(algorithm="sha256", value=SHA256)


@pytest.mark.parametrize(
    "name", ["SHA256SUMS", "disk.img.xz.sha256", "disk.sha256", "disk.img.txt"]
)
def test_sums_of_a_build_that_may_be_another(site: Site, name: str) -> None:
    message = site.refusal(Reason.SUMS_FILE_INVALID, sums={"url": site.put(name, BUILD)})
    assert 'of "disk.img", but of "disk-20261129.img"' in message
    assert "checksum.from.filename" in message


def test_sums_beside_a_link_that_are_signed(site: Site, signer: Signer) -> None:
    """A mirror could show another file, and its checksum with a good signature."""
    source: dict[str, Any] = {"sums": {"url": site.put("disk.img.sha256", BUILD)}}
    url = site.put("disk.img.sha256.sig", signer.detached(BUILD.encode()))
    source["sums"]["signature"] = {"url": url, "keyring": signer.public()}
    site.refusal(Reason.SUMS_FILE_INVALID, **source)
    source["sums"]["filename"] = "disk-20261129.img"
    assert site.expect(**source).checksum is not None


def test_sums_beside_a_link_and_a_name(site: Site) -> None:
    url = site.put("disk.img.sha256", BUILD)
    site.refusal(Reason.SUMS_FILE_INVALID, sums={"url": url, "filename": "disk.img"})


def test_sums_that_are_labelled_as_a_page(site: Site) -> None:
    head = "Content-Type: text/html; charset=utf-8"
    with Hostile(answer(GOOD.encode(), head)) as server:
        assert site.expect(sums={"url": server.url("/SHA256SUMS")}).checksum is not None


@pytest.mark.parametrize("label", ["gzip", "x-gzip", "GZIP"])
def test_sums_that_are_compressed_on_the_way(site: Site, label: str) -> None:
    head = f"Content-Encoding: {label}"
    for body in (gzip.compress(GOOD.encode(), mtime=0), GOOD.encode()):
        with Hostile(answer(body, head)) as server:
            assert site.expect(sums={"url": server.url("/SHA256SUMS")}).checksum is not None


@pytest.mark.parametrize(
    "body",
    [
        gzip.compress(GOOD.encode(), mtime=0)[:-4],
        gzip.compress(GOOD.encode(), mtime=0) + b"x",
        gzip.compress(bytes(2**24), mtime=0),
        b"\x1f\x8b",
    ],
    ids=["cut", "with more behind it", "a bomb", "a beginning"],
)
def test_sums_that_only_look_compressed(site: Site, body: bytes) -> None:
    with Hostile(answer(body, "Content-Encoding: gzip")) as server:
        site.refusal(Reason.SUMS_FILE_INVALID, sums={"url": server.url("/SHA256SUMS")})


def test_url_without_a_name(site: Site) -> None:
    message = site.refusal(Reason.INVALID_REQUEST, url="http://127.0.0.1/?x=y", **site.sums(GOOD))
    assert "file name" in message


def test_checksum_and_sums(site: Site) -> None:
    checksum = {"algorithm": "sha256", "value": SHA256}
    site.refusal(Reason.INVALID_REQUEST, checksum=checksum, **site.sums(GOOD))


@pytest.mark.parametrize(("algorithm", "warned"), [("md5", 1), ("sha1", 1), ("sha256", 0)])
def test_weak_checksums_alone_are_warned_of(
    site: Site, signer: Signer, algorithm: str, warned: int
) -> None:
    value = hashlib.new(algorithm, CONTENT, usedforsecurity=False).hexdigest()
    for source in (
        site.sums(f"{value}  disk.img"),
        {"checksum": {"algorithm": algorithm, "value": value}},
    ):
        warnings = site.expect(**source).warnings
        assert len(warnings) == warned
        assert all(algorithm in each for each in warnings)
    url = site.put("disk.img.sig", signer.detached(CONTENT))
    signature = {"url": url, "keyring": signer.public()}
    assert site.expect(**source, signature=signature).warnings == ()


def signed(site: Site, signer: Signer, content: str, **wish: Any) -> dict[str, Any]:
    source = site.sums(content)
    url = site.put("SHA256SUMS.sig", signer.detached(GOOD.encode()), **wish)
    source["sums"]["signature"] = {"url": url, "keyring": signer.public()}
    return source


def test_sums_with_a_detached_signature(site: Site, signer: Signer) -> None:
    assert site.expect(**signed(site, signer, GOOD)).checksum is not None


def test_sums_with_the_signature_of_others(site: Site, signer: Signer) -> None:
    site.refusal(Reason.SIGNATURE_INVALID, **signed(site, signer, GOOD + "\n"))


def test_signature_that_is_not_there(site: Site, signer: Signer) -> None:
    site.refusal(Reason.SOURCE_NOT_FOUND, **signed(site, signer, GOOD, status=404))


@pytest.mark.parametrize("fault", ["html", "endless"])
def test_signature_that_is_none(site: Site, signer: Signer, fault: str) -> None:
    site.refusal(Reason.SIGNATURE_INVALID, **signed(site, signer, GOOD, fault=fault))


def test_clearsigned_sums(site: Site, signer: Signer) -> None:
    text = signer.clearsigned(GOOD.encode())
    source = site.sums(b"0" * 64 + b"  disk.img\n" + text)
    assert site.expect(**source).checksum == Checksum(algorithm="sha256", value=SHA256)
    source["sums"]["signature"] = {"keyring": signer.public()}
    assert site.expect(**source).checksum == Checksum(algorithm="sha256", value=SHA256)


@pytest.mark.parametrize("detached", [True, False])
def test_signed_text_with_a_hash_of_something_else(
    site: Site, signer: Signer, detached: bool
) -> None:
    """A release note with a commit, or the hash of another file: true, and no proof of this one."""
    for note in (f"Release 7\n\nother.img\n{SHA256}\n", f"Release 7, of the commit\n{'1' * 40}\n"):
        if detached:
            url = site.put("SHA256SUMS.sig", signer.detached(note.encode()))
            source = site.sums(note)
            source["sums"]["signature"] = {"url": url, "keyring": signer.public()}
        else:
            source = site.sums(signer.clearsigned(note.encode()))
            source["sums"]["signature"] = {"keyring": signer.public()}
        assert "without a file name" in site.refusal(Reason.SUMS_FILE_INVALID, **source)


def test_clearsigned_sums_with_the_checksum_outside(site: Site, signer: Signer) -> None:
    """The name is only where the signature does not reach."""
    text = signer.clearsigned(b"# nothing\n")
    source = site.sums(GOOD.encode() + text + GOOD.encode())
    source["sums"]["signature"] = {"keyring": signer.public()}
    site.refusal(Reason.SUMS_FILE_INVALID, **source)


def test_block_that_only_a_careless_reader_takes_for_signed(site: Site, signer: Signer) -> None:
    """What counts comes from gpgv, not from a second reading of the file."""
    begin = "-----BEGIN PGP SIGNED MESSAGE-----"
    forged = f"x{begin}\n\n{'0' * 64}  disk.img\n"
    source = site.sums(forged.encode() + signer.clearsigned(GOOD.encode()))
    source["sums"]["signature"] = {"keyring": signer.public()}
    assert site.expect(**source).checksum == Checksum(algorithm="sha256", value=SHA256)


def test_sums_that_should_be_clearsigned(site: Site, signer: Signer) -> None:
    source = site.sums(GOOD)
    source["sums"]["signature"] = {"keyring": signer.public()}
    assert "clearsigned" in site.refusal(Reason.SIGNATURE_INVALID, **source)


def test_signature_over_the_image(site: Site, signer: Signer) -> None:
    url = site.put("disk.img.sig", signer.detached(CONTENT))
    expected = site.expect(signature={"url": url, "keyring": signer.public()})
    path = site.tools.folder / "source"
    path.write_bytes(CONTENT)
    verify(expected, path, site.tools)
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(TransferError) as caught:
        verify(expected, path, site.tools)
    assert caught.value.reason is Reason.SIGNATURE_INVALID


def test_clearsigned_image(site: Site, signer: Signer) -> None:
    message = site.refusal(Reason.INVALID_REQUEST, signature={"keyring": signer.public()})
    assert "detached" in message


@pytest.mark.parametrize(
    ("wish", "reason", "words"),
    [
        ({"status": 404}, Reason.SOURCE_NOT_FOUND, "404"),
        ({"status": 403}, Reason.SOURCE_REFUSED, "403"),
        ({"status": 503}, Reason.SOURCE_UNREACHABLE, "503"),
        ({"fault": "html"}, Reason.SUMS_FILE_INVALID, "web page"),
        ({"fault": "truncate", "at": 70}, Reason.SOURCE_TRUNCATED, "after 70 bytes"),
        ({"fault": "reset", "at": 70}, Reason.SOURCE_TRUNCATED, "announced length"),
        ({"fault": "stall", "at": 70, "seconds": 9}, Reason.SOURCE_UNREACHABLE, "no data"),
        ({"fault": "endless"}, Reason.SUMS_FILE_INVALID, "over 1.0 MiB"),
        ({"fault": "loop"}, Reason.SOURCE_REFUSED, "redirects"),
        ({"redirect": "file:///etc/passwd"}, Reason.SOURCE_REFUSED, "redirects"),
        ({"auth": f"user:{SECRET}"}, Reason.SOURCE_REFUSED, "401"),
    ],
)
def test_servers_that_fail(site: Site, wish: dict[str, Any], reason: Reason, words: str) -> None:
    message = site.refusal(reason, **site.sums(GOOD, **wish))
    assert words in message
    assert "?" not in message


def test_server_that_drips(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(side_files, "MAX_SECONDS", 1.0)
    message = site.refusal(Reason.SOURCE_UNREACHABLE, **site.sums(GOOD, fault="drip", seconds=0.1))
    assert "in 1 s" in message


def test_server_that_is_not_there(site: Site) -> None:
    url = f"http://user:{SECRET}@127.0.0.1:{free_ports(1)[0]}/SHA256SUMS?token={SECRET}"
    assert "refused" in site.refusal(Reason.SOURCE_UNREACHABLE, sums={"url": url})


@pytest.mark.parametrize("url", ["ftp://host/x", "file:///etc/passwd", "http://", "http://[::1/"])
def test_urls_that_are_none(site: Site, url: str) -> None:
    site.refusal(Reason.INVALID_REQUEST, sums={"url": url})


def test_redirect(site: Site) -> None:
    target = urlsplit(site.put("elsewhere", GOOD)).path
    assert site.expect(**site.sums(GOOD, redirect=target)).checksum is not None


def test_compressed_by_nobody(site: Site) -> None:
    site.expect(**site.sums(GOOD, key=site.unique))
    (request,) = site.sources.requests(site.unique)
    assert request.headers["accept-encoding"] == "identity"
    assert "authorization" not in request.headers


@pytest.mark.parametrize("who", ["source", "url"])
def test_authentication(site: Site, who: str) -> None:
    source = site.sums(GOOD, auth=f"ü:{SECRET}")
    auth = {"username": "ü", "password": SECRET} if who == "source" else None
    if who == "url":
        url = source["sums"]["url"].replace("//", f"//%C3%BC:{SECRET}@")
        source["sums"]["url"] = url
    assert site.expect(auth=auth, **source).checksum is not None


def test_headers_of_the_source(site: Site) -> None:
    auth = {"bearer": SECRET, "headers": {"X-Token": SECRET}}
    site.expect(auth=auth, **site.sums(GOOD, key=site.unique))
    (request,) = site.sources.requests(site.unique)
    assert request.headers["authorization"] == f"Bearer {SECRET}"
    assert request.headers["x-token"] == SECRET


def test_another_origin_gets_no_secrets(site: Site) -> None:
    elsewhere = {"url": site.image.replace("127.0.0.1", "localhost")}
    auth = {"bearer": SECRET, "headers": {"X-Token": SECRET}}
    site.expect(auth=auth, **elsewhere, **site.sums(GOOD, key=site.unique))
    (request,) = site.sources.requests(site.unique)
    assert SECRET not in str(request.headers)


def test_userinfo_is_not_for_where_a_redirect_leads(site: Site) -> None:
    target = site.put("elsewhere", GOOD, key=site.unique).replace("127.0.0.1", "localhost")
    source = site.sums(GOOD, redirect=target)
    source["sums"]["url"] = source["sums"]["url"].replace("//", f"//user:{SECRET}@")
    site.expect(**source)
    (request,) = site.sources.requests(site.unique)
    assert "authorization" not in request.headers
