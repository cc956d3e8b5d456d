"""What is fuzzed: one function for each parser of strangers' bytes.

A target takes any bytes and returns. It fails by an exception that the parser's caller does not
expect, or by a promise that the parser does not keep. To add one: a function here, in ``TARGETS``,
and a folder of small files in ``corpus``.
"""

import contextlib
import io
import json
import math
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from cloudimage import http_dates
from cloudimage.access import region
from cloudimage.cloud.config import parse_clouds_yaml
from cloudimage.cloud.errors import CloudNotFoundError, InvalidCloudsYamlError
from cloudimage.guest import report
from cloudimage.transfer.contract import UNRESTRICTED, Limits, Reason, TransferError
from cloudimage.transfer.image import qemu_checks, vhdx
from cloudimage.transfer.image.archives import ERRORS, Bounded, untar, unzip
from cloudimage.transfer.image.disk_end import cut
from cloudimage.transfer.image.inspection import fixed_vhd_size, look, shape_of
from cloudimage.transfer.source.http import connections, download
from cloudimage.transfer.source.http.client import Client
from cloudimage.transfer.source.http.model import HttpSource
from cloudimage.transfer.source.http.side_files import fetch_text
from cloudimage.transfer.tools import nbd
from cloudimage.transfer.verify import checksum_files, openpgp
from cloudimage.transfer.verify import openpgp as armor
from fuzz.index_targets import INDEX_TARGETS
from fuzz.lint_targets import LINT_TARGETS
from fuzz.oci_targets import OCI_TARGETS, Target

NAME = "disk.img"
LIMITS = Limits(max_download=2**20, stall_seconds=0.2)
MESSAGE_LENGTH = 2000
_TABLE = 64 * 2**10
_TOKEN = "0" * 32

_place = tempfile.TemporaryDirectory(prefix="fuzz-")
_folder = Path(_place.name)
"""For what reads files."""


def sums_file(data: bytes) -> None:
    """A publisher's list: its hash must be there, and be of the name or of nothing else."""
    try:
        checksum = checksum_files.choose(data, NAME, "SHA256SUMS")
    except TransferError as error:
        _told(error, Reason.SUMS_FILE_INVALID)
        return
    utf16 = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    text = data.decode("utf-16" if utf16 else "utf-8-sig", errors="surrogateescape").lower()
    # Without blanks: certutil puts some between the bytes, and Get-FileHash breaks lines.
    assert checksum.value in "".join(text.split())
    if NAME not in text and NAME not in text.replace("\n", ""):
        assert set(text.split()) == {checksum.value} or "pgp signed message" in text


def keyring(data: bytes) -> None:
    """OpenPGP's armor."""
    text = data.decode(errors="replace")
    with contextlib.suppress(ValueError):
        keys = armor.public_keys(text)
        assert 0 < len(keys) < len(text)


def gpgv_status(data: bytes) -> None:
    """What gpgv says of a signature."""
    lines = [line.split() for line in data.decode(errors="replace").splitlines()]
    try:
        openpgp._judge(lines)
    except TransferError as error:
        _told(error, Reason.SIGNATURE_INVALID)
    else:
        assert any(line[:1] == ["GOODSIG"] for line in lines)


class _Sink:
    """Counts what comes out of an archive."""

    def expect(self, size: int) -> None:
        if size > 2**20:
            raise TransferError(Reason.IMAGE_TOO_LARGE, "too large")

    def copy(self, content: "IO[bytes] | Bounded") -> None:
        size = 0
        while piece := content.read(2**16):
            size += len(piece)
            self.expect(size)


def tar(data: bytes) -> None:
    """A tar archive."""
    with contextlib.suppress(TransferError, *ERRORS):
        untar(io.BytesIO(data), _Sink())


def zip_archive(data: bytes) -> None:
    """A zip archive."""
    with contextlib.suppress(TransferError, *ERRORS):
        unzip(_file("archive.zip", data), _Sink())


def http_date(data: bytes) -> None:
    """Headers with a moment in them, as http.client hands them out."""
    value = data.decode("latin-1")
    http_dates.moment(value)
    seconds = http_dates.retry_after(value)
    assert seconds is None or (math.isfinite(seconds) and seconds >= 0)


def http_answer(data: bytes) -> None:
    """A whole answer of a server, redirects and resumed connections included."""
    source = HttpSource(url="http://fuzz.example/disk.img")
    with _answering(data), Client(source, UNRESTRICTED, LIMITS, _folder) as client:
        reader = download.Download(client, source.url, verified=False)
        try:
            pieces = [each for each in reader.pieces() if isinstance(each, download.Piece)]
        except TransferError as error:
            _told(error, *Reason)
        else:
            assert reader.proven
            assert b"content-length" in data.lower() or b"chunked" in data.lower()
            assert sum(len(each.content) for each in pieces) <= LIMITS.max_download


def http_side_file(data: bytes) -> None:
    """An answer that is to be a list of checksums."""
    source = HttpSource(url="http://fuzz.example/SHA256SUMS")
    with _answering(data), Client(source, UNRESTRICTED, LIMITS, _folder) as client:
        try:
            assert len(fetch_text(source.url, client, signed=False)) <= checksum_files.MAX_BYTES
        except TransferError as error:
            _told(error, *Reason)


def nbd_server(data: bytes) -> None:
    """A qemu-nbd that an image has taken over."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**20)
        theirs.settimeout(0)
        with contextlib.suppress(BlockingIOError):
            theirs.send(data)
        theirs.shutdown(socket.SHUT_WR)
        with contextlib.suppress(nbd.NbdError):
            disk = nbd.Disk(ours)
            limit = 3 * nbd.PIECE
            assert sum(map(len, disk.pieces(limit))) == min(limit, disk.size)


def image(data: bytes) -> None:
    """A file of any format, as far as it is read without a tool."""
    path = _file("image", data)
    for declared in (None, "raw"):
        with contextlib.suppress(TransferError):
            shape_of(path, len(data), declared)
    with contextlib.suppress(TransferError):
        look(path, "qcow2", None, Limits())
    cut(lambda offset, length: data[offset : offset + length], len(data))
    fixed_vhd_size(data[-512:])


def vhdx_tables(data: bytes) -> None:
    """The tables of a VHDX, each at its place: regions, metadata, blocks."""
    tables = (
        bytes(_TABLE),
        bytes(_TABLE),
        bytes(_TABLE),
        data[:1024],
        data[1024:2048],
        data[2048:],
    )
    content = b"".join(table.ljust(_TABLE, b"\0") for table in tables)
    with contextlib.suppress(ValueError):
        vhdx.blocks(io.BytesIO(content), len(content))


def qemu_map(data: bytes) -> None:
    """The output of ``qemu-img map``."""
    lines = data.splitlines(keepends=True)
    expected = (ValueError, LookupError, TypeError, AttributeError, qemu_checks._AmplifiedError)
    with contextlib.suppress(*expected, RecursionError):
        qemu_checks.data_end(lines, len(data))


def clouds_yaml(data: bytes) -> None:
    """A Secret's clouds.yaml: what is allowed makes a region of the SDK, all else is refused."""
    try:
        config = parse_clouds_yaml(data.decode(errors="surrogateescape"), "prod")
    except (InvalidCloudsYamlError, CloudNotFoundError) as error:
        _readable(str(error))
    else:
        region.region(config.options, session=lambda *_, **__: None, ca_file=None)


def console(data: bytes) -> None:
    """A server's console, and a line of it that has a right signature."""
    text = data.decode(errors="replace")
    report.newest_report(text, _TOKEN)
    for line in text.splitlines():
        body = line.removeprefix("cloudimage-report/1 ").partition(" signature=")[0]
        signed = f"cloudimage-report/1 {body} signature={report.signature(body, _TOKEN)}"
        found = report.newest_report(signed, _TOKEN)
        assert found is None or 0 <= found.uptime < 2**32
    tail = report.console_tail(text)
    assert len(tail) <= MESSAGE_LENGTH
    assert all(each.isprintable() for each in tail.split("\n"))


TARGETS: dict[str, Callable[[bytes], None]] = {
    "sums": sums_file,
    "armor": keyring,
    "gpgv": gpgv_status,
    "tar": tar,
    "zip": zip_archive,
    "httpdate": http_date,
    "http": http_answer,
    "sidefile": http_side_file,
    "nbd": nbd_server,
    "image": image,
    "vhdx": vhdx_tables,
    "map": qemu_map,
    "clouds": clouds_yaml,
    "console": console,
}


def _of_target(target: Target) -> Callable[[bytes], None]:
    def told(data: bytes) -> None:
        if error := target(data):
            _told(error, *Reason)

    return told


TARGETS |= {
    name: _of_target(target)
    for name, target in (OCI_TARGETS | INDEX_TARGETS | LINT_TARGETS).items()
}


def _told(error: TransferError, *reasons: Reason) -> None:
    """Check the error that a user would see."""
    assert error.reason in reasons
    _readable(error.message)


def _readable(message: str) -> None:
    assert message.isprintable()
    assert len(message) < MESSAGE_LENGTH
    json.dumps(message).encode()
    message.encode()


def _file(name: str, data: bytes) -> Path:
    path = _folder / name
    path.write_bytes(data)
    return path


@contextlib.contextmanager
def _answering(data: bytes) -> Iterator[None]:
    """Have every connection of a client give these bytes, and end."""

    def connect(*_: object, **__: object) -> socket.socket:
        ours, theirs = socket.socketpair()
        with theirs:
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**20)
            theirs.settimeout(0)
            with contextlib.suppress(BlockingIOError):
                theirs.send(data)
            theirs.shutdown(socket.SHUT_WR)
            _others.append(theirs.dup())  # else what we send would end the connection
        return ours

    gate, sleep = connections.Gate.connect, download.time.sleep
    connections.Gate.connect = connect
    download.time.sleep = lambda _: None
    try:
        yield
    finally:
        connections.Gate.connect, download.time.sleep = gate, sleep
        while _others:
            _others.pop().close()


_others: list[socket.socket] = []
