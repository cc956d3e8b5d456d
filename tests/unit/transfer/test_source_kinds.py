"""A kind of source that nobody has heard of goes the whole way, once it is registered."""

import hashlib
import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import pytest

from cloudimage.transfer import pipeline
from cloudimage.transfer.contract import (
    Checksum,
    Cloud,
    Import,
    Limits,
    NewImage,
    Reason,
    Result,
    Source,
    TransferError,
)
from cloudimage.transfer.glance.methods import Offers, choose
from cloudimage.transfer.interrupts import Interrupts
from cloudimage.transfer.progress import Meter
from cloudimage.transfer.request import TransferRequest
from cloudimage.transfer.source import registry
from cloudimage.transfer.source.base import Context, Ends
from cloudimage.transfer.source.hashes import Fetched, Hashes
from cloudimage.transfer.verify.verification import Expected
from support.fake_glance import FakeGlance
from support.transfer_images import MIB, make, raw_disk


class FolderSource(Source):
    """A file in a folder that the transfer sees."""

    path: Path


@dataclass
class _FolderReader:
    """What there is of it."""

    source: FolderSource
    context: Context

    def expect(self) -> Expected:
        return Expected(self.source.checksum)

    def look(self, _min_disk: int | None) -> Ends:
        return Ends(self.source.path.stat().st_size)

    def discarding(self) -> AbstractContextManager[None]:
        return nullcontext()

    def is_kept(self) -> bool:
        return False

    def stream(self, _image: NewImage) -> None:
        return None

    def can_fetch_after(self, _error: TransferError) -> bool:
        return False

    def fetch(self, target: Path) -> Fetched:
        shutil.copyfile(self.source.path, target)
        hashes = Hashes(self.source.checksum)
        hashes.update_from(target, self.context.meter)
        hashes.check()
        return hashes.fetched()


@contextmanager
def open_folder(source: FolderSource, context: Context) -> Iterator[_FolderReader]:
    yield _FolderReader(source, context)


@pytest.fixture
def request_of(tmp_path: Path) -> Mapping[str, TransferRequest]:
    scratch, disk = tmp_path / "scratch", tmp_path / "disk.raw"
    scratch.mkdir()
    raw_disk(disk, 2 * MIB)
    packed = tmp_path / "disk.qcow2"
    make(disk, packed, "qcow2")
    right = hashlib.sha256(packed.read_bytes()).hexdigest()
    return {
        name: TransferRequest.model_construct(
            source=FolderSource(path=packed, checksum=Checksum(algorithm="sha256", value=value)),
            image=NewImage(id_seed="seed", name="name", disk_format="raw"),
            cloud=Cloud(config={}),
            scratch=scratch,
            method=Import(method="Upload"),
            limits=Limits(),
        )
        for name, value in (("right", right), ("wrong", "0" * 64))
    }


@pytest.fixture
def glance(monkeypatch: pytest.MonkeyPatch) -> FakeGlance:
    glance = FakeGlance()
    monkeypatch.setattr(pipeline, "Glance", lambda *_: glance)
    monkeypatch.setattr(registry, "_OPENERS", {FolderSource: open_folder})
    return glance


def moved(request: TransferRequest) -> Result:
    return pipeline.transfer(request, Meter(lambda _: None), Interrupts())


def test_it_is_converted_uploaded_and_compared(
    request_of: Mapping[str, TransferRequest], glance: FakeGlance
) -> None:
    result = moved(request_of["right"])
    assert glance.images[result.image_id]["size"] == 2 * MIB
    assert result.source.format == "qcow2"
    assert result.source.checksums["sha256"] == request_of["right"].source.checksum.value  # type: ignore[union-attr]  # given
    assert not list(request_of["right"].scratch.glob("*/source")), "nothing stays"


def test_its_wrong_bytes_are_refused(
    request_of: Mapping[str, TransferRequest], glance: FakeGlance
) -> None:
    with pytest.raises(TransferError) as caught:
        moved(request_of["wrong"])
    assert caught.value.reason is Reason.CHECKSUM_MISMATCH
    assert glance.images == {}


def test_glance_is_not_asked_to_fetch_it(request_of: Mapping[str, TransferRequest]) -> None:
    request = request_of["right"].model_copy(update={"method": Import(method="WebDownload")})
    with pytest.raises(TransferError, match="URL") as caught:
        choose(request, Offers(methods=frozenset({"web-download"})))
    assert caught.value.reason is Reason.METHOD_UNAVAILABLE
