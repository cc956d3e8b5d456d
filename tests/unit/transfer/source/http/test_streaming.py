"""Raw sources that go to Glance without a disk between."""

import hashlib
import random
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudimage.transfer.contract import (
    UNRESTRICTED,
    Checksum,
    ChecksumAlgorithm,
    Limits,
    NewImage,
    Reason,
    TransferError,
    UrlPolicy,
)
from cloudimage.transfer.progress import Meter
from cloudimage.transfer.scratch import Cache
from cloudimage.transfer.source.base import Context
from cloudimage.transfer.source.http.client import Client
from cloudimage.transfer.source.http.model import HttpSource, Signature, SumsFile
from cloudimage.transfer.source.http.streaming import StreamedFile, try_streaming
from cloudimage.transfer.source.registry import open_source
from cloudimage.transfer.tools.toolbox import Toolbox
from support.hostile_server import Hostile, answer, wants_range
from support.transfer_images import DISK_SIZE, MIB, make, raw_disk
from testbed.sources import Sources

IMAGE = NewImage(id_seed="seed", name="name")


@pytest.fixture
def url(sources: Sources, unique: str, disk: Path) -> str:
    return sources.put(f"{unique}.raw", disk)


class Bench:
    """A client, open until the end of the test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clients: list[Client] = []

    def go(
        self,
        source: HttpSource,
        image: NewImage = IMAGE,
        policy: UrlPolicy = UNRESTRICTED,
        **limits: float,
    ) -> StreamedFile | None:
        """Ask whether a source goes straight."""
        client = Client(source, policy, Limits.model_validate(limits), self.folder)
        self.clients.append(client)
        return try_streaming(source, image, client, self.folder)

    def must(self, source: HttpSource, **limits: float) -> StreamedFile:
        """Return it if it does."""
        straight = self.go(source, **limits)
        assert straight is not None
        return straight


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    folder = tmp_path / "run"
    folder.mkdir()
    bench = Bench(folder)
    yield bench
    for client in bench.clients:
        client.__exit__(None, None, None)
    assert list(folder.iterdir()) == []


def received(straight: StreamedFile) -> tuple[bytes, TransferError | None]:
    """Return what Glance would get, and how it ended."""
    came = b""
    try:
        for chunk in straight.payload.open():
            came += chunk
    except TransferError as error:
        return came, error
    return came, None


def sha256(path: Path) -> Checksum:
    return Checksum(algorithm="sha256", value=hashlib.sha256(path.read_bytes()).hexdigest())


@pytest.mark.parametrize("wanted", [None, "raw"])
def test_raw_goes_straight(bench: Bench, url: str, disk: Path, wanted: str | None) -> None:
    source = HttpSource(url=url, checksum=sha256(disk))
    straight = bench.go(source, IMAGE.model_copy(update={"disk_format": wanted}))
    assert straight is not None
    assert (straight.payload.size, straight.found.virtual_size) == (DISK_SIZE, DISK_SIZE)
    assert received(straight) == (disk.read_bytes(), None)
    assert straight.fetched.checksums == {"sha256": sha256(disk).value}
    assert straight.fetched.size == DISK_SIZE
    assert straight.payload.sha512 is None


def test_the_hash_that_glance_has_too_is_computed_once(bench: Bench, url: str, disk: Path) -> None:
    value = hashlib.sha512(disk.read_bytes()).hexdigest()
    straight = bench.must(HttpSource(url=url, checksum=Checksum(algorithm="sha512", value=value)))
    assert straight.payload.sha512 is not None
    assert straight.payload.sha512() == ""  # nothing is known before all was read
    assert received(straight) == (disk.read_bytes(), None)
    assert straight.payload.sha512() == value


def digest(path: Path, algorithm: ChecksumAlgorithm) -> Checksum:
    value = hashlib.new(algorithm, path.read_bytes()).hexdigest()
    return Checksum(algorithm=algorithm, value=value)


def streamed_hashes(source: HttpSource, folder: Path) -> set[str]:
    """Return the algorithms of the hashes that are known of a source once it was streamed."""
    limits, meter = Limits(), Meter(lambda _: None)
    cache = Cache(folder, limits, shared=False)
    tools = Toolbox(folder, limits.tool_memory, limits.tool_cpu_seconds)
    context = Context(folder, cache, limits, UNRESTRICTED, meter, tools)
    with open_source(source, context) as reader:
        reader.expect()
        stream = reader.stream(IMAGE)
        assert stream is not None
        for _ in stream.payload.open():
            pass
        return set(stream.fetched.checksums)


def test_a_strong_checksum_of_the_spec_is_the_only_hash(
    tmp_path: Path, url: str, disk: Path
) -> None:
    def hashes(algorithm: ChecksumAlgorithm) -> set[str]:
        checksum = digest(disk, algorithm)
        return streamed_hashes(HttpSource(url=url, checksum=checksum), tmp_path)

    assert hashes("sha512") == {"sha512"}
    assert hashes("blake2b") == {"blake2b"}
    assert hashes("sha256") == {"sha256"}
    assert hashes("md5") == {"md5", "sha256"}, "anybody can make another file with this one"
    assert streamed_hashes(HttpSource(url=url), tmp_path) == {"sha256"}


def test_a_publishers_checksum_is_not_the_only_hash(
    tmp_path: Path, sources: Sources, unique: str, url: str, disk: Path
) -> None:
    listed = f"{digest(disk, 'sha512').value}  {unique}.raw\n"
    sums = SumsFile(url=sources.put(f"{unique}-SUMS", listed.encode()))
    found = streamed_hashes(HttpSource(url=url, sums=sums), tmp_path)
    assert found == {"sha512", "sha256"}, "the next list may have another algorithm"


def test_payload_can_be_had_again(bench: Bench, url: str, disk: Path) -> None:
    straight = bench.must(HttpSource(url=url))
    assert received(straight) == received(straight) == (disk.read_bytes(), None)


def test_shapeless_raw_must_be_declared(bench: Bench, sources: Sources, unique: str) -> None:
    url = sources.put(unique, b"text" * MIB)
    assert bench.go(HttpSource(url=url)) is None
    assert bench.go(HttpSource(url=url, format="raw")) is not None


def test_cut_file_system_in_a_partition_does_not_go_straight(
    bench: Bench, sources: Sources, unique: str, tmp_path: Path
) -> None:
    """Its table of partitions was written again, so that only the superblock tells."""
    disk = tmp_path / "disk"
    raw_disk(disk, 4 * MIB)
    for blocks, expected in ((3 * MIB, True), (3 * MIB + 4096, False)):
        with disk.open("r+b") as file:
            file.seek(MIB)
            file.write(struct.pack(">4sIQ", b"XFSB", 4096, blocks // 4096))
        url = sources.put(f"{unique}{blocks}.raw", disk)
        assert (bench.go(HttpSource(url=url)) is not None) is expected


def test_breaks_are_resumed(bench: Bench, sources: Sources, url: str, disk: Path) -> None:
    name = url.rpartition("/")[2]
    broken = HttpSource(url=f"{url}?fault=reset&at=5000000", checksum=sha256(disk))
    assert received(bench.must(broken)) == (disk.read_bytes(), None)
    statuses = [each.status for each in sources.requests(name)]
    # The beginning, the partition's, and the end; then the file.
    assert statuses == [206, 206, 206, 200, 206, 206, 206]


def test_wrong_checksum_holds_the_end_back(bench: Bench, url: str, disk: Path) -> None:
    wrong = Checksum(algorithm="sha256", value="0" * 64)
    straight = bench.must(HttpSource(url=url, checksum=wrong))
    came, error = received(straight)
    assert error is not None
    assert error.reason is Reason.CHECKSUM_MISMATCH
    assert len(came) < DISK_SIZE
    assert disk.read_bytes().startswith(came)


def test_cut_short(bench: Bench, sources: Sources, disk: Path, url: str) -> None:
    straight = bench.must(HttpSource(url=url))
    straight._probe.url = f"{url}?fault=truncate&at=9000000"
    came, error = received(straight)
    assert error is not None
    assert error.reason is Reason.SOURCE_TRUNCATED
    assert len(came) < DISK_SIZE


@pytest.mark.parametrize("place", [0, DISK_SIZE // 2, DISK_SIZE - 1])
def test_file_that_changes_after_it_was_looked_at(
    bench: Bench, sources: Sources, disk: Path, url: str, place: int
) -> None:
    straight = bench.must(HttpSource(url=url, checksum=sha256(disk)))
    content = bytearray(disk.read_bytes())
    content[place] ^= 1
    sources.put(url.rpartition("/")[2], bytes(content))
    came, error = received(straight)
    assert error is not None
    assert error.reason in {Reason.SOURCE_UNREACHABLE, Reason.CHECKSUM_MISMATCH}
    assert len(came) < DISK_SIZE


def test_file_that_changes_while_it_is_read(
    bench: Bench, sources: Sources, disk: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = bench.must(HttpSource(url=url))
    straight._probe.url = f"{url}?fault=reset&fault=etag&at=5000000"
    came, error = received(straight)
    assert error is not None
    assert error.reason is Reason.SOURCE_UNREACHABLE
    assert "changed" in error.message
    assert len(came) < DISK_SIZE


def test_too_large_for_its_disk(bench: Bench, sources: Sources, url: str) -> None:
    source = HttpSource(url=url)
    with pytest.raises(TransferError) as caught:
        bench.go(source, max_virtual_size=DISK_SIZE - 1)
    assert caught.value.reason is Reason.IMAGE_TOO_LARGE


def test_mirror_is_taken(bench: Bench, sources: Sources, url: str, disk: Path) -> None:
    source = HttpSource(url=sources.url("no-such-file"), mirrors=(url,))
    assert received(bench.must(source)) == (disk.read_bytes(), None)


@pytest.mark.parametrize(
    "query",
    ["fault=norange", "status=503", "fault=html", "fault=truncate&at=1000", "fault=chunked"],
)
def test_servers_that_are_not_up_to_it(bench: Bench, url: str, query: str) -> None:
    straight = bench.go(HttpSource(url=f"{url}?{query}"))
    assert straight is None or received(straight)[1] is None


def test_other_formats_do_not(bench: Bench, sources: Sources, disk: Path, unique: str) -> None:
    for shape, options in (("qcow2", ""), ("vmdk", ""), ("vpc", "subformat=fixed,force_size=on")):
        path = bench.folder.parent / shape
        make(disk, path, shape, options)
        url = sources.put(f"{unique}-{shape}", path)
        assert bench.go(HttpSource(url=url)) is None
        assert bench.go(HttpSource(url=url, format="raw")) is None


def test_what_asks_for_more_does_not(bench: Bench, url: str) -> None:
    source = HttpSource(url=url)
    signed = source.model_copy(update={"signature": Signature(url="http://x/y", keyring="")})
    assert bench.go(signed) is None
    assert bench.go(source, IMAGE.model_copy(update={"disk_format": "qcow2"})) is None
    assert bench.go(source, max_download=DISK_SIZE - 1) is None
    assert bench.go(source, policy=UrlPolicy()) is None


def lying_part(total: int, body: bytes, start: int = 0) -> str:
    return f"Content-Range: bytes {start}-{start + len(body) - 1}/{total}"


@pytest.mark.parametrize("size", [2**20 - 1, 2**20 + 1, 2**21])
def test_server_that_lies_about_parts(bench: Bench, size: int) -> None:
    body = bytes(size)
    script = answer(body, 'ETag: "x"', lying_part(10 * MIB, body), status="206 Partial Content")
    with Hostile(script) as server:
        assert bench.go(HttpSource(url=server.url(), format="raw")) is None


def test_server_that_drips(bench: Bench) -> None:
    def script(connection: socket.socket, head: bytes) -> None:
        assert wants_range(head)
        lines = ["HTTP/1.1 206 OK", 'ETag: "x"', lying_part(10 * MIB, bytes(MIB)), "", ""]
        connection.sendall("\r\n".join(lines).encode())
        while True:
            connection.sendall(b"x")
            time.sleep(0.05)

    with Hostile(script) as server:
        began = time.monotonic()
        source = HttpSource(url=server.url(), format="raw")
        assert bench.go(source, stall_seconds=0.3) is None
        assert time.monotonic() - began < 3


def test_head_that_promises_a_far_away_header(bench: Bench, sources: Sources, unique: str) -> None:
    """A VHDX may say that its metadata is a terabyte away: nobody goes there."""
    head = bytearray(2 * MIB)
    head[:8] = b"vhdxfile"
    head[192 * 1024 : 192 * 1024 + 4] = b"regi"
    struct.pack_into("<I", head, 192 * 1024 + 8, 1)
    began = time.monotonic()
    assert bench.go(HttpSource(url=sources.put(unique, bytes(head)))) is None
    assert time.monotonic() - began < 3


def test_random_content_is_not_taken_for_raw(bench: Bench, sources: Sources, unique: str) -> None:
    noise = random.Random(1).randbytes(2 * MIB)
    assert bench.go(HttpSource(url=sources.put(unique, noise))) is None
