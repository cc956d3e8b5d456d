"""Where a body ends: what proves that it is the whole file, and what does not."""

import contextlib
import hashlib
import socket
import ssl
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from cloudimage.transfer.contract import Checksum, Reason, TransferError
from cloudimage.transfer.source.http.client import Client
from cloudimage.transfer.source.http.model import HttpSource, Signature
from cloudimage.transfer.source.http.side_files import fetch_text
from support.fetching import CONTENT, LIMITS, LOOPBACK, RIGHT, transfer
from support.hostile_server import Hostile, Script
from testbed.kubernetes.certificates import Authority

OK = b"HTTP/1.1 200 OK\r\n"
UNTIL_IT_CLOSES = OK + b"Connection: close\r\n\r\n"
OLD = b"HTTP/1.0 200 OK\r\n\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
PIECE = b"%x\r\n%b\r\n" % (len(CONTENT), CONTENT)
HALF = Checksum(algorithm="sha256", value=hashlib.sha256(CONTENT[:150_000]).hexdigest())
SIGNED = Signature(url="http://127.0.0.1/disk.img.sig", keyring="")


@dataclass(frozen=True)
class Tls:
    """A server's certificate, and the PEM text of who issued it."""

    certificate: Path
    ca: str


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    authority, path = Authority.new(), tmp_path_factory.mktemp("tls") / "server"
    authority.issue_server(path)
    return Tls(path, authority.certificate.public_bytes(serialization.Encoding.PEM).decode())


def sends(*parts: bytes, notify: bool = False) -> Script:
    """Send, and close; with TLS's own farewell if told so."""

    def script(connection: socket.socket, _: bytes) -> None:
        for part in parts:
            connection.sendall(part)
        if notify and isinstance(connection, ssl.SSLSocket):
            with contextlib.suppress(OSError):
                connection.unwrap()

    return script


def refusal(source: HttpSource, folder: Path) -> TransferError:
    with pytest.raises(TransferError) as caught:
        transfer(source, folder)
    assert not (folder / "run" / "source").exists()
    return caught.value


UNPROVEN = {
    "until it closes": UNTIL_IT_CLOSES + CONTENT,
    "HTTP/1.0": OLD + CONTENT,
    "a length that is none": OK + b"Content-Length: many\r\n\r\n" + CONTENT,
    "a length below nothing": OK + b"Content-Length: -5\r\n\r\n" + CONTENT,
    "chunks, and something around them": (
        OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + PIECE + b"0\r\n\r\n"
    ),
    "no last chunk": CHUNKED + PIECE,
    "half of a chunk": CHUNKED + PIECE[:150_000],
    "a chunk whose size is cut": CHUNKED + PIECE + b"0",
    "a chunk whose size is cut behind its zeros": CHUNKED + PIECE + b"000\r",
    "a size and words": CHUNKED + PIECE + b"0 bytes\r\n\r\n",
    "a size with a sign": CHUNKED + PIECE + b"-0\r\n\r\n",
    "a size with an underscore": CHUNKED + PIECE.replace(b"493e0", b"4_93e0") + b"0\r\n\r\n",
    "a size with 0x": CHUNKED + b"0x" + PIECE + b"0\r\n\r\n",
    "a size that is empty": CHUNKED + PIECE + b"\r\n\r\n",
    "a chunk longer than its size": CHUNKED + PIECE[:-2] + b"xx0\r\n\r\n",
    "a chunk with more behind it": CHUNKED + PIECE[:-2] + b"more\r\n0\r\n\r\n",
    "no end of the trailers": CHUNKED + PIECE + b"0\r\n",
    "half an end of the trailers": CHUNKED + PIECE + b"0\r\n\r",
    "a trailer that is cut": CHUNKED + PIECE + b"0\r\nX-Checksum: 12",
    "trailers that are cut": CHUNKED + PIECE + b"0\r\nX-Checksum: 12\r\n",
    "a trailer that is none": CHUNKED + PIECE + b"0\r\nno trailer\r\n\r\n",
    "a body behind the end": CHUNKED + PIECE + b"0\r\n" + CONTENT,
    "a long trailer": CHUNKED + PIECE + b"0\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
    "many trailers": CHUNKED + PIECE + b"0\r\n" + b"X: y\r\n" * 10_000 + b"\r\n",
}


@pytest.mark.parametrize("answer", UNPROVEN.values(), ids=UNPROVEN.keys())
def test_end_that_proves_nothing(answer: bytes, tmp_path: Path) -> None:
    """Each could be a part of the file: it is refused for now, and may be complete next time."""
    with Hostile(sends(answer)) as server:
        error = refusal(HttpSource(url=server.url("/disk.img?key=s3cret")), tmp_path)
    assert error.reason is Reason.SOURCE_TRUNCATED, error.message
    assert "s3cret" not in error.message


@pytest.mark.parametrize("answer", [UNTIL_IT_CLOSES, OLD], ids=["HTTP/1.1", "HTTP/1.0"])
def test_message_says_what_to_do(answer: bytes, tmp_path: Path) -> None:
    with Hostile(sends(answer + CONTENT)) as server:
        message = refusal(HttpSource(url=server.url()), tmp_path).message
    assert "nothing proves" in message
    assert "300000 bytes" in message
    assert "Give a checksum" in message


def test_tls_that_is_cut(tmp_path: Path, tls: Tls) -> None:
    with Hostile(sends(UNTIL_IT_CLOSES + CONTENT[:150_000]), tls.certificate) as server:
        source = HttpSource(url=server.url(host="localhost"), ca_certificate=tls.ca)
        error = refusal(source, tmp_path)
    assert error.reason is Reason.SOURCE_TRUNCATED
    assert "after 146.5 KiB (150000 bytes)" in error.message


def test_tls_that_ends(tmp_path: Path, tls: Tls) -> None:
    """Its close_notify is an end that nobody between can make."""
    with Hostile(sends(UNTIL_IT_CLOSES + CONTENT, notify=True), tls.certificate) as server:
        source = HttpSource(url=server.url(host="localhost"), ca_certificate=tls.ca)
        assert transfer(source, tmp_path).size == len(CONTENT)


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize(
    "answer",
    [
        UNTIL_IT_CLOSES + CONTENT,
        CHUNKED + PIECE + b"0\r\n",
        CHUNKED + PIECE + b"0\r\nX-Checksum: 12",
    ],
)
def test_a_checksum_proves_more_than_an_end(
    answer: bytes, secure: bool, tmp_path: Path, tls: Tls
) -> None:
    ca = tls.ca if secure else None
    with Hostile(sends(answer), tls.certificate if secure else None) as server:
        url = server.url(host="localhost" if secure else "127.0.0.1")
        source = HttpSource(url=url, checksum=RIGHT, ca_certificate=ca)
        assert transfer(source, tmp_path).size == len(CONTENT)


@pytest.mark.parametrize("secure", [False, True])
def test_part_of_a_file_with_a_checksum_is_truncated(
    secure: bool, tmp_path: Path, tls: Tls
) -> None:
    """And not ChecksumMismatch, for which one would look for another file."""
    ca = tls.ca if secure else None
    script = sends(UNTIL_IT_CLOSES + CONTENT[:150_000])
    with Hostile(script, tls.certificate if secure else None) as server:
        url = server.url(host="localhost" if secure else "127.0.0.1")
        source = HttpSource(url=url, checksum=RIGHT, ca_certificate=ca)
        assert refusal(source, tmp_path).reason is Reason.SOURCE_TRUNCATED
        right = source.model_copy(update={"checksum": HALF})
        assert transfer(right, tmp_path).size == 150_000


def test_a_signature_proves_as_well(tmp_path: Path) -> None:
    with Hostile(sends(OLD + CONTENT)) as server:
        source = HttpSource(url=server.url(), signature=SIGNED)
        assert transfer(source, tmp_path).size == len(CONTENT)


SOUND = {
    "trailers": CHUNKED + PIECE + b"0\r\nX-Checksum: 12\r\nX-Other:\r\n\r\n",
    "extensions": CHUNKED + PIECE.replace(b"\r\n", b';name="value"\r\n', 1) + b"0;last\r\n\r\n",
    "zeros before sizes": CHUNKED + b"0000" + PIECE + b"0000\r\n\r\n",
    "upper case": CHUNKED + PIECE.replace(b"493e0", b"493E0") + b"0\r\n\r\n",
    "blanks behind sizes": CHUNKED + PIECE.replace(b"493e0", b"493e0  ") + b"0\r\n\r\n",
    "lines by line feeds": (
        OK + b"Transfer-Encoding: Chunked\n\n" + PIECE.replace(b"\r\n", b"\n", 1) + b"0\n\n"
    ),
}


@pytest.mark.parametrize("answer", SOUND.values(), ids=SOUND.keys())
def test_chunks_that_are_only_odd(answer: bytes, tmp_path: Path) -> None:
    with Hostile(sends(answer)) as server:
        assert transfer(HttpSource(url=server.url()), tmp_path).size == len(CONTENT)
    assert (tmp_path / "run" / "source").read_bytes() == CONTENT


@pytest.mark.parametrize("last", [b"0\r\n", b"0", b"1;"])
def test_lines_between_chunks_that_drip(last: bytes, tmp_path: Path) -> None:
    def script(connection: socket.socket, _: bytes) -> None:
        connection.sendall(CHUNKED + PIECE + last)
        for _ in range(200):
            connection.sendall(b"x")
            time.sleep(0.05)

    with Hostile(script) as server:
        began = time.monotonic()
        assert refusal(HttpSource(url=server.url()), tmp_path).reason is Reason.SOURCE_UNREACHABLE
    assert time.monotonic() - began < 8


LIST = b"0" * 64 + b"  disk.img"


@pytest.mark.parametrize(
    "answer", [OLD + LIST, UNTIL_IT_CLOSES + LIST, CHUNKED + b"4a\r\n" + LIST + b"\r\n0\r\n"]
)
def test_list_without_an_end(answer: bytes, tmp_path: Path) -> None:
    """What is cut off may be the rest of a name: the hash would be another file's."""
    with Hostile(sends(answer)) as server:
        source = HttpSource(url=server.url())
        with Client(source, LOOPBACK, LIMITS, tmp_path) as client:
            with pytest.raises(TransferError) as caught:
                fetch_text(server.url(), client, signed=False)
            assert caught.value.reason is Reason.SOURCE_TRUNCATED
            assert fetch_text(server.url(), client, signed=True) == LIST
