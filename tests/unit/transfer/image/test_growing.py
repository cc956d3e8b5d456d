"""A file that is read while another process, or a thread, writes it."""

import hashlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from cloudimage.transfer.contract import Limits, Reason, TransferError
from cloudimage.transfer.image.conversion import CHUNK, Chunks, Payload
from cloudimage.transfer.image.growing import GrowingFile
from cloudimage.transfer.scratch import Cache

PIECES = [os.urandom(CHUNK), bytes(CHUNK), os.urandom(CHUNK // 2), bytes(3)]
WHOLE = b"".join(PIECES)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache", Limits(), shared=True)


class Written:
    """The source of a growing file, which gives one piece after the other when it may."""

    def __init__(self, *, failing: Exception | None = None) -> None:
        self.may = threading.Semaphore(0)
        self.opened = 0
        self._failing = failing

    def let(self, pieces: int = len(PIECES) + 1) -> None:
        """Let so many pieces come."""
        for _ in range(pieces):
            self.may.release()

    def payload(self) -> Payload:
        """Return it."""
        return Payload("raw", len(WHOLE), self._chunks)

    def _chunks(self) -> Chunks:
        self.opened += 1
        for piece in PIECES:
            self.may.acquire()
            yield piece
            if self._failing is not None:
                raise self._failing


@pytest.fixture
def growing(cache: Cache, tmp_path: Path) -> Iterator[Callable[[Written], GrowingFile]]:
    made: list[GrowingFile] = []

    def make(source: Written) -> GrowingFile:
        link = tmp_path / f"link-{len(made)}"
        made.append(GrowingFile(cache, "key", link, source.payload(), len(WHOLE)))
        return made[-1]

    yield make
    for each in made:
        each.stop()


def test_what_is_there_is_read_before_the_rest_is_written(
    growing: Callable[[Written], GrowingFile],
) -> None:
    first, second = Written(), Written()
    payloads = [growing(first).begin(), growing(second).begin()]
    readers = [each.open() for each in payloads]
    first.let(1)
    assert [next(each) for each in readers] == [PIECES[0]] * 2
    first.let()
    assert [b"".join(each) for each in readers] == [WHOLE[CHUNK:]] * 2
    assert (first.opened, second.opened) == (1, 0)
    for each in payloads:
        assert each.sha512 is not None
        assert each.sha512() == hashlib.sha512(WHOLE).hexdigest()


def test_holes_take_no_place(growing: Callable[[Written], GrowingFile], cache: Cache) -> None:
    source = Written()
    source.let()
    assert b"".join(growing(source).begin().open()) == WHOLE
    assert cache.part("key").with_suffix(".data").stat().st_blocks * 512 < len(WHOLE) - CHUNK // 2


def test_whoever_comes_later_takes_the_whole_file(
    growing: Callable[[Written], GrowingFile],
) -> None:
    first, late = Written(), Written()
    first.let()
    first_payload = growing(first).begin()
    assert b"".join(first_payload.open()) == WHOLE
    assert first_payload.sha512 is not None
    first_payload.sha512()
    assert b"".join(growing(late).begin().open()) == WHOLE
    assert late.opened == 0


def test_the_failure_of_one_that_writes_is_met_by_it_alone(
    growing: Callable[[Written], GrowingFile],
) -> None:
    error = TransferError(Reason.CONVERSION_FAILED, "damaged")
    first, second = Written(failing=error), Written()
    one, other = growing(first).begin(), growing(second).begin()
    reader = other.open()
    first.let(1)
    with pytest.raises(TransferError, match="damaged"):
        list(one.open())
    second.let()
    assert b"".join(reader) == WHOLE
    assert (first.opened, second.opened) == (1, 1)


def test_a_transfer_that_fails_goes_on_for_the_others(
    growing: Callable[[Written], GrowingFile],
) -> None:
    first, second = Written(), Written()
    writer = growing(first)
    writer.begin()
    reader = growing(second).begin().open()
    threading.Timer(0.2, first.let).start()
    writer.finish(lambda: True)
    writer.stop()
    assert b"".join(reader) == WHOLE
    assert (first.opened, second.opened) == (1, 0)


def test_a_transfer_that_is_alone_stops(
    growing: Callable[[Written], GrowingFile], cache: Cache
) -> None:
    source = Written()
    writer = growing(source)
    writer.begin()
    writer.finish(lambda: False)
    threading.Timer(0.2, source.let).start()
    writer.stop()
    cache.remove("key")
    assert not cache.holds("key")


@contextmanager
def killed_after_a_piece(cache: Cache, link: Path) -> Iterator[None]:
    """Have a process write the first piece before the block, and be killed after it."""
    child = os.fork()
    if not child:
        source = Written()
        source.let(1)
        GrowingFile(cache, "key", link, source.payload(), len(WHOLE)).begin()
        time.sleep(60)
        os._exit(0)
    try:
        while not cache.part("key").exists() or cache.part("key").stat().st_size < CHUNK:
            time.sleep(0.01)
        yield
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_the_place_of_one_that_was_killed_is_taken(
    growing: Callable[[Written], GrowingFile], cache: Cache, tmp_path: Path
) -> None:
    second = Written()
    with killed_after_a_piece(cache, tmp_path / "child"):
        payload = growing(second).begin()
        reader = payload.open()
        assert next(reader) == PIECES[0]
    second.let()
    assert b"".join(reader) == WHOLE[CHUNK:]
    assert second.opened == 1
    assert payload.sha512 is not None
    assert payload.sha512() == hashlib.sha512(WHOLE).hexdigest()


def test_what_was_killed_and_swept_is_written_once_for_all_that_were_reading(
    growing: Callable[[Written], GrowingFile], cache: Cache, tmp_path: Path
) -> None:
    sources = [Written(), Written()]
    with killed_after_a_piece(cache, tmp_path / "child"):
        readers = [growing(each).begin().open() for each in sources]
        assert [next(each) for each in readers] == [PIECES[0]] * 2
    cache.sweep()  # as any transfer does that begins now
    for each in sources:
        each.let()
    with ThreadPoolExecutor() as pool:
        rest = [pool.submit(b"".join, each) for each in readers]
        assert [each.result(20) for each in rest] == [WHOLE[CHUNK:]] * 2
    assert sum(each.opened for each in sources) == 1


def test_a_whole_file_that_is_too_short_is_written_again(
    growing: Callable[[Written], GrowingFile], cache: Cache
) -> None:
    first, late = Written(), Written()
    first.let()
    assert b"".join(growing(first).begin().open()) == WHOLE
    os.truncate(cache.part("key").with_suffix(".data"), CHUNK)
    late.let()
    assert b"".join(growing(late).begin().open()) == WHOLE
    assert late.opened == 1
