"""Disks read through the real qemu-nbd, and servers that an image has taken over."""

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudimage.transfer.tools import nbd
from cloudimage.transfer.tools.nbd import PIECE, Disk, HungUpError, NbdError
from cloudimage.transfer.tools.toolbox import Toolbox, ToolError
from support.transfer_images import MIB, make, qemu_img, raw_disk

GREETING = b"NBDMAGICIHAVEOPT\x00\x03"
SIZE = 3 * PIECE // 2


@pytest.fixture
def tools(tmp_path: Path) -> Toolbox:
    return Toolbox(tmp_path, memory=2**31, cpu_seconds=60)


@pytest.mark.parametrize("shape", ["raw", "qcow2", "vmdk", "vdi", "vpc", "vhdx"])
@pytest.mark.parametrize("size", [512, PIECE, 11 * PIECE + 4096])
def test_all_bytes_in_their_order(tools: Toolbox, shape: str, size: int) -> None:
    disk, source = tools.folder / "disk", tools.folder / "source"
    raw_disk(disk, max(size, 2 * MIB))
    with disk.open("r+b") as file:
        file.truncate(size)
    make(disk, source, shape, "force_size=on" if shape == "vpc" else "")
    with tools.disk("source", shape) as found:
        assert found.size == size
        assert b"".join(found.pieces()) == disk.read_bytes()
    assert {each.name for each in tools.folder.iterdir()} == {"disk", "source"}


def test_holes_come_as_zeros_and_take_no_memory(tools: Toolbox) -> None:
    qemu_img("create", "-q", "-f", "qcow2", tools.folder / "source", "64G")
    with tools.disk("source", "qcow2") as disk:
        pieces = disk.pieces()
        first, second = next(pieces), next(pieces)
        assert first == bytes(PIECE)
        assert first is second


def test_folder_with_a_long_name(tools: Toolbox) -> None:
    folder = tools.folder / ("x" * 200)
    folder.mkdir()
    raw_disk(folder / "source", 2 * MIB)
    with Toolbox(folder, 2**31, 60).disk("source", "raw") as disk:
        assert b"".join(disk.pieces(512)) == (folder / "source").read_bytes()[:512]


def test_image_that_qemu_does_not_open(tools: Toolbox) -> None:
    (tools.folder / "source").write_bytes(b"no image" * 512)
    with pytest.raises(ToolError, match="not in qcow2 format"), tools.disk("source", "qcow2"):
        pytest.fail("it was opened")


def test_part_that_cannot_be_read(tools: Toolbox) -> None:
    source = tools.folder / "source"
    raw_disk(tools.folder / "disk", 8 * MIB)
    qemu_img("convert", "-c", "-f", "raw", "-O", "qcow2", tools.folder / "disk", source)
    with source.open("r+b") as file:
        file.truncate(source.stat().st_size // 2)
    with pytest.raises(ToolError, match="read"), tools.disk("source", "qcow2") as disk:
        list(disk.pieces())


def test_server_that_dies_while_it_is_read(tools: Toolbox) -> None:
    raw_disk(tools.folder / "source", 64 * MIB)
    read = []
    with pytest.raises(ToolError, match="SIGKILL"), tools.disk("source", "raw") as disk:  # noqa: PT012 - so is it used
        for piece in disk.pieces():
            read.append(piece)
            # Not all children: the test bed's servers are ours too, if this process started them.
            for child in psutil.Process().children(recursive=True):
                if child.name() == "qemu-nbd":
                    child.kill()
    assert len(read) < 64


Serve = Callable[[bytes], Disk]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Connect to a server that says some bytes, whatever it is asked, and hangs up."""
    ours, theirs = socket.socketpair()

    def talk(content: bytes) -> Disk:
        def say() -> None:
            # The reader hangs up as soon as it has read a lie, in the middle of the rest.
            with theirs, suppress(ConnectionError):
                theirs.sendall(content)
                theirs.shutdown(socket.SHUT_WR)
                while theirs.recv(4096):
                    pass

        threading.Thread(target=say, daemon=True).start()
        return Disk(ours)

    with ours:
        yield talk


def option_reply(option: int, kind: int, content: bytes = b"") -> bytes:
    return struct.pack(">QIII", 0x3E889045565A9, option, kind, len(content)) + content


def agreed(size: int = SIZE) -> bytes:
    export = struct.pack(">HQH", 0, size, 3)
    return GREETING + option_reply(8, 1) + option_reply(7, 3, export) + option_reply(7, 1)


def chunk(
    kind: int, cookie: int, content: bytes, flags: int = 1, length: int | None = None
) -> bytes:
    size = len(content) if length is None else length
    return struct.pack(">IHHQI", 0x668E33EF, flags, kind, cookie, size) + content


def data(offset: int, content: bytes, cookie: int = 0, flags: int = 1) -> bytes:
    return chunk(1, cookie, struct.pack(">Q", offset) + content, flags)


def hole(offset: int, length: int, cookie: int = 0, flags: int = 1) -> bytes:
    return chunk(2, cookie, struct.pack(">QI", offset, length), flags)


@pytest.mark.parametrize("pause", [0.2, 10.0], ids=["drips", "is silent"])
@pytest.mark.parametrize("agrees", [True, False])
def test_server_that_hangs(monkeypatch: pytest.MonkeyPatch, agrees: bool, pause: float) -> None:
    monkeypatch.setattr(nbd, "ANSWER_SECONDS", 1.0)
    ours, theirs = socket.socketpair()
    stop = threading.Event()

    def say() -> None:
        with theirs, suppress(OSError):
            theirs.sendall(agreed() if agrees else b"")
            for byte in data(0, b"x" * PIECE) if agrees else agreed():
                if stop.wait(pause):
                    break
                theirs.sendall(bytes([byte]))

    threading.Thread(target=say, daemon=True).start()
    began = time.monotonic()
    with ours, pytest.raises(NbdError) as caught:
        sum(map(len, Disk(ours).pieces()))
    stop.set()
    assert time.monotonic() - began < 5
    # A server that closed the connection would be waited for.
    assert not isinstance(caught.value, HungUpError)
    assert "did not answer within 1 s" in str(caught.value)


def test_answers_in_any_order_and_in_parts(serve: Serve) -> None:
    rest = SIZE - PIECE
    disk = serve(
        agreed()
        + hole(PIECE, rest, cookie=PIECE)
        + data(4096, b"x" * (PIECE - 4096), flags=0)
        + hole(0, 4096, flags=0)
        + chunk(0, 0, b"")
    )
    assert b"".join(disk.pieces()) == bytes(4096) + b"x" * (PIECE - 4096) + bytes(rest)


@pytest.mark.parametrize(
    "content",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n" * 10,
        GREETING[:-1] + b"\x00",
        GREETING + option_reply(8, 2**31 + 1),
        GREETING + option_reply(8, 1) + option_reply(7, 1),
        GREETING + option_reply(8, 1) + option_reply(8, 1),
        GREETING + struct.pack(">QIII", 0x3E889045565A9, 8, 1, 2**31),
    ],
    ids=["HTTP", "old style", "no structured replies", "no size", "other option", "long option"],
)
def test_what_is_no_server(serve: Serve, content: bytes) -> None:
    with pytest.raises(NbdError):
        serve(content)


@pytest.mark.parametrize(
    "answer",
    [
        data(0, b"x" * PIECE, cookie=7),
        data(0, b"x" * (PIECE + 1)),
        data(PIECE, b"x"),
        data(2**63, b"x"),
        data(0, b"x"),
        hole(0, PIECE + 1),
        hole(1, PIECE),
        hole(0, PIECE, flags=0) + hole(0, PIECE),
        chunk(0, 0, b""),
        chunk(0, 0, b"x"),
        chunk(1, 0, bytes(8), length=2**32 - 1),
        chunk(2, 0, b"x"),
        chunk(9, 0, b""),
        chunk(2**15 + 1, 0, b"", length=2**32 - 1),
        b"x" * 64,
    ],
    ids=[
        "other request",
        "too much",
        "behind it",
        "far behind it",
        "too little",
        "large hole",
        "hole behind it",
        "twice",
        "nothing",
        "something for nothing",
        "endless",
        "short hole",
        "unknown",
        "endless complaint",
        "no chunk",
    ],
)
def test_answers_that_make_no_sense(serve: Serve, answer: bytes) -> None:
    disk = serve(agreed() + answer)
    with pytest.raises(NbdError) as caught:
        list(disk.pieces())
    assert not isinstance(caught.value, HungUpError)


def test_complaint(serve: Serve) -> None:
    said = struct.pack(">IH", 5, 4) + b"EIO!"
    with pytest.raises(NbdError, match="EIO!"):
        list(serve(agreed() + chunk(2**15 + 1, 0, said)).pieces())


def test_server_that_hangs_up(serve: Serve) -> None:
    with pytest.raises(HungUpError):
        list(serve(agreed() + data(0, b"x" * 100)[:50]).pieces())


@given(st.binary(max_size=200))
def test_any_bytes_end_in_an_error(content: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(agreed() + content)
        theirs.shutdown(socket.SHUT_WR)
        with pytest.raises(NbdError):
            list(nbd.Disk(ours).pieces())
