"""Hostile and broken images through the real pipeline, up to the upload, which only reads."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudimage.transfer import pipeline
from cloudimage.transfer.contract import UNRESTRICTED, Reason, TransferError
from cloudimage.transfer.glance import delivery
from cloudimage.transfer.image.conversion import Payload
from cloudimage.transfer.image.qemu_formats import QEMU_FORMATS
from cloudimage.transfer.interrupts import Interrupts
from cloudimage.transfer.progress import Meter
from cloudimage.transfer.request import TransferRequest
from cloudimage.transfer.tools import toolbox
from cloudimage.transfer.tools.confinement import Program
from cloudimage.transfer.tools.launcher import Order
from support.hostile_image_case import LIMITS, SIZE, Case
from support.hostile_image_cases import CASES, ODD_BUT_SOUND
from support.hostile_images import (
    Build,
    converted,
    luks,
)
from support.transfer_images import raw_disk
from testbed.sources import Sources


class UploadedError(Exception):
    """The pipeline came as far as the upload."""


class Bench:
    """Runs the pipeline on an image; tools are recorded, and the upload only reads."""

    def __init__(self, sources: Sources, unique: str, disk: Path, folder: Path) -> None:
        self._sources = sources
        self._unique = unique
        self._disk = disk
        self._folder = folder
        self._scratch = folder / "scratch"
        self._scratch.mkdir()
        self.uploaded: list[tuple[str, int]] = []
        self.calls: list[Order] = []

    def record_tools(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Record each program that opens images."""

        def noted(order: Order, listener: socket.socket | None = None) -> Program:
            if order.words[0].startswith("qemu-"):
                self.calls.append(order)
            return Program(order, listener)

        monkeypatch.setattr(toolbox, "Program", noted)

    def upload(self, _target: object, payload: Payload) -> Any:
        """Read what would be sent."""
        size = sum(map(len, payload.open()))
        self.uploaded.append((payload.format, size))
        raise UploadedError

    def run(self, build: Build, declared: str | None = None, **image: Any) -> None:
        """Move an image up to its upload."""
        path = self._folder / "image"
        build(self._disk, path)
        request = TransferRequest.model_validate(
            {
                "source": {
                    "type": "http",
                    "url": self._sources.put(self._unique, path),
                    "format": declared,
                },
                "image": {"id_seed": "x", "name": "x", **image},
                "cloud": {"config": {}},
                "scratch": self._scratch,
                "method": {"method": "Upload"},
                "policy": UNRESTRICTED,
                "limits": LIMITS,
            }
        )
        pipeline.transfer(request, Meter(lambda _: None), Interrupts())


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A disk of the size that the cases are made for."""
    path = tmp_path_factory.mktemp("disk") / "disk.raw"
    raw_disk(path, SIZE)
    return path


@pytest.fixture
def bench(
    sources: Sources, unique: str, disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Bench]:
    bench = Bench(sources, unique, disk, tmp_path)
    monkeypatch.setattr(pipeline, "Glance", lambda *_: None)
    monkeypatch.setattr(pipeline, "check_rights", lambda _: None)
    monkeypatch.setattr(delivery, "upload", bench.upload)
    bench.record_tools(monkeypatch)
    yield bench
    assert list((tmp_path / "scratch").iterdir()) == []
    for call in bench.calls:
        assert call.memory == LIMITS.tool_memory, call
        assert call.cpu_seconds == LIMITS.tool_cpu_seconds, call
        assert call.most_output <= LIMITS.max_scratch, call
        assert call.words[call.words.index("-f") + 1] in QEMU_FORMATS.values(), call
        # Names in the folder, and nowhere else.
        assert not [word for word in call.words if "/" in word], call
    (sources.folder / unique).unlink()


@pytest.mark.parametrize("case", CASES)
def test_hostile_image(bench: Bench, case: Case) -> None:
    with pytest.raises(TransferError) as caught:
        bench.run(case.build, case.declared, **{"disk_format": None, **dict(case.image)})
    assert caught.value.reason is case.reason, caught.value
    assert case.words in caught.value.message
    assert bench.uploaded == []
    if case.reason is Reason.UNSAFE_IMAGE:  # no tool has opened it, but where only qemu knows
        assert bool(bench.calls) == case.opened


@pytest.mark.parametrize("name", ODD_BUT_SOUND)
def test_odd_but_sound(bench: Bench, name: str) -> None:
    build, shape = ODD_BUT_SOUND[name]
    with pytest.raises(UploadedError):
        bench.run(build)
    assert [each for each, _ in bench.uploaded] == [shape]


def test_luks_is_kept_where_it_is_declared(bench: Bench) -> None:
    with pytest.raises(UploadedError):
        bench.run(luks(1), "raw")
    assert [shape for shape, _ in bench.uploaded] == ["raw"]


@pytest.mark.parametrize("shape", ["qcow2", "vmdk", "vdi", "vhd", "vhdx"])
@pytest.mark.parametrize("wanted", ["raw", "qcow2"])
def test_tools_never_probe(bench: Bench, shape: str, wanted: str) -> None:
    """What they get is recorded and checked in the fixture; here is that there is something."""
    qemu_format = QEMU_FORMATS[shape]  # type: ignore[index]  # a string of the list above
    options = "force_size=on" if shape == "vhd" else ""
    with pytest.raises(UploadedError):
        bench.run(converted(qemu_format, options), disk_format=wanted)
    assert bench.uploaded[0][0] == wanted
    formats = [call.words[call.words.index("-f") + 1] for call in bench.calls]
    assert len(formats) >= 4
    assert set(formats) == {qemu_format}
