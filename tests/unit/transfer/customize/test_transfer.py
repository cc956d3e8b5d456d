"""Whole transfers that customize: what is refused before any byte comes, and what is uploaded."""

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from cloudimage.transfer.contract import UNRESTRICTED, Reason, TransferError
from cloudimage.transfer.glance.methods import Offers, choose
from cloudimage.transfer.request import TransferRequest
from support.customizing import Guest
from support.fake_glance import TransferBench
from testbed import packages
from testbed.images.libguestfs import appliance, small_debian
from testbed.sources import Sources

SPARSE = {"sparsify": True}
NOWHERE = {"type": "http", "url": "http://127.0.0.1:9/disk"}


@pytest.fixture
def bench(folder: Path, monkeypatch: pytest.MonkeyPatch) -> TransferBench:
    return TransferBench(folder, monkeypatch)


@pytest.fixture
def empty(folder: Path) -> Path:
    """What looks like an appliance."""
    appliance = folder / "appliance"
    appliance.mkdir()
    for name in ("kernel", "initrd", "root"):
        (appliance / name).touch()
    return appliance


@pytest.mark.parametrize("appliance", [None, "/nowhere"])
def test_without_an_appliance_nothing_is_fetched(
    bench: TransferBench, appliance: str | None
) -> None:
    with pytest.raises(TransferError, match=r"customize\.image\.repository") as caught:
        bench.run(NOWHERE, customize=SPARSE, appliance=appliance)
    assert caught.value.reason is Reason.CUSTOMIZE_UNAVAILABLE


@pytest.mark.parametrize(
    ("customize", "reason", "said"),
    [
        (
            {"steps": [{"type": "run", "reference": "a", "files": {"k": "\ufffd"}}]},
            Reason.CUSTOMIZE_FAILED,
            "step 1 of spec.customize refers to a file that is not text",
        ),
    ],
)
def test_what_cannot_be_done_is_refused_first(
    bench: TransferBench, empty: Path, customize: dict[str, Any], reason: Reason, said: str
) -> None:
    with pytest.raises(TransferError, match=said) as caught:
        bench.run(NOWHERE, customize=customize, appliance=empty)
    assert caught.value.reason is reason


def test_what_is_no_disk_cannot_be_customized(
    bench: TransferBench, empty: Path, sources: Sources, unique: str, tmp_path: Path
) -> None:
    kernel = tmp_path / "kernel"
    kernel.write_bytes(os.urandom(4096))
    source = {"type": "http", "url": sources.put(unique, kernel)}
    with pytest.raises(TransferError, match="needs the image of a disk, and this is aki") as caught:
        bench.run(source, "aki", "aki", customize=SPARSE, appliance=empty)
    assert caught.value.reason is Reason.UNSUPPORTED_FORMAT


def test_glance_never_fetches_what_is_customized() -> None:
    request = TransferRequest.model_validate(
        {
            "source": {
                "type": "http",
                "url": "http://example.org/disk",
                "format": "raw",
                "checksum": {"algorithm": "sha512", "value": "0" * 128},
            },
            "image": {"id_seed": "seed", "name": "name"},
            "cloud": {"config": {}},
            "scratch": "scratch",
            "policy": UNRESTRICTED,
        }
    )
    offers = Offers(frozenset({"web-download"}))
    assert choose(request, offers).method == "WebDownload"
    customized = request.model_copy(update={"customize": object()})
    choice = choose(customized, offers)
    assert choice.method == "Upload"
    assert "spec.customize changes the bytes" in choice.reason


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(os.geteuid() != 0, reason="mmdebstrap and the packages need root")
@pytest.mark.parametrize(("wanted", "stored"), [("raw", "raw"), (None, "qcow2")])
def test_what_is_uploaded_is_customized_and_the_checksum_is_the_publishers(
    bench: TransferBench,
    sources: Sources,
    unique: str,
    tmp_path: Path,
    wanted: str | None,
    stored: str,
) -> None:
    packages.ensure("customize")
    image = small_debian()
    digest = hashlib.sha256(image.read_bytes()).hexdigest()
    source = {
        "type": "http",
        "url": sources.put(unique, image),
        "checksum": {"algorithm": "sha256", "value": digest},
    }
    steps = [{"type": "writeFile", "path": "/opt/made", "mode": "0644", "files": {"text": "way"}}]
    result = bench.run(source, wanted, customize={"steps": steps}, appliance=appliance())
    assert result.disk_format == stored
    assert result.source.format == "qcow2"
    assert result.source.checksums["sha256"] == digest
    assert [(each.step, each.result) for each in result.customize] == [("writeFile", "Succeeded")]
    kept = tmp_path / "kept"
    kept.write_bytes(bench.glance.stored)
    disk = kept if stored == "raw" else Guest.of(kept, tmp_path / "disk").disk
    assert Guest(disk).text("/opt/made") == "way"
    assert not list(bench.scratch.glob("transfer-*"))
