"""Whole transfers that look into the image: when, at what, and what comes of findings."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from cloudimage.transfer.contract import Reason, TransferError
from cloudimage.transfer.findings import LintMode, Rule
from cloudimage.transfer.lint.looking import LintError
from support.fake_glance import TransferBench
from support.guests import CLEAN, disk, file_system, tree
from support.transfer_images import make

WITH_PASSWORD = {"etc/shadow": "root:$6$salt$hash:19000::::::\n"}


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TransferBench:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return TransferBench(scratch, monkeypatch)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """A guest in which a password was forgotten."""
    folder = tree(tmp_path / "guest", CLEAN, WITH_PASSWORD)
    system = file_system(tmp_path / "system", "ext4", folder)
    return disk(tmp_path / "disk.raw", "gpt", system)


@pytest.fixture
def qcow2(raw: Path) -> Path:
    path = raw.with_suffix(".qcow2")
    make(raw, path, "qcow2", compress=True)
    return path


def source(path: Path) -> dict[str, Any]:
    value = hashlib.sha256(path.read_bytes()).hexdigest()
    return {
        "type": "file",
        "root": str(path.parent),
        "path": path.name,
        "checksum": {"algorithm": "sha256", "value": value},
    }


@pytest.mark.parametrize("shape", ["qcow2", "raw", "vmdk"])
def test_findings_are_told_and_the_image_is_there(
    bench: TransferBench, qcow2: Path, shape: str
) -> None:
    result = bench.run(source(qcow2), shape, lint="Warn")
    assert result.lint is not None
    assert [each.rule for each in result.lint.findings] == [Rule.PASSWORD]
    assert list(bench.glance.images) == [result.image_id]
    if shape == "qcow2":
        assert bench.glance.stored == qcow2.read_bytes()


def test_enforce_leaves_nothing_in_glance(bench: TransferBench, qcow2: Path) -> None:
    with pytest.raises(LintError) as caught:
        bench.run(source(qcow2), lint="Enforce")
    assert caught.value.reason is Reason.LINT_FAILED
    assert "PasswordSet. /etc/shadow: the user root has a password" in caught.value.message
    assert "spec.lint is Enforce: nothing was uploaded" in caught.value.message
    assert bench.glance.used == set()
    assert not list(bench.scratch.glob("transfer-*"))


@pytest.mark.parametrize("mode", ["Auto", "Warn", "Enforce"])
def test_a_stream_is_given_up_only_where_it_is_asked_for(
    bench: TransferBench, raw: Path, mode: LintMode
) -> None:
    """A raw file with a checksum goes as a stream."""
    if mode == "Enforce":
        with pytest.raises(TransferError) as caught:
            bench.run(source(raw), "raw", lint=mode)
        assert caught.value.reason is Reason.LINT_FAILED
        return
    result = bench.run(source(raw), "raw", lint=mode)
    assert result.lint is not None
    assert result.lint.outcome == {"Auto": "NotLookedInto", "Warn": "FindingsFound"}[mode]
    if mode == "Auto":
        assert "set spec.lint to Warn or Enforce" in result.lint.message


def test_unasked_where_the_bytes_are_at_hand(bench: TransferBench, qcow2: Path) -> None:
    result = bench.run(source(qcow2), lint="Auto")
    assert result.lint is not None
    assert result.lint.outcome == "FindingsFound"


def test_off_says_nothing(bench: TransferBench, qcow2: Path) -> None:
    assert bench.run(source(qcow2), lint="Skip").lint is None
    assert bench.run(source(qcow2)).lint is None


def test_no_room_for_the_copy(bench: TransferBench, qcow2: Path) -> None:
    """Enforce fails for it and may pass later; else the image is made, and nothing is known."""
    limits = {"max_scratch": qcow2.stat().st_size + 64 * 1024}
    with pytest.raises(TransferError) as caught:
        bench.run(source(qcow2), lint="Enforce", limits=limits)
    assert caught.value.reason is Reason.INSUFFICIENT_SCRATCH
    assert bench.glance.used == set()
    result = bench.run(source(qcow2), lint="Warn", limits=limits)
    assert result.lint is not None
    assert result.lint.outcome == "NotLookedInto"


def test_files_of_others_stay_for_what_was_not_asked_for(
    bench: TransferBench, qcow2: Path, raw: Path
) -> None:
    """A source that is kept for the next transfer makes room for what is asked for only."""
    kept = bench.scratch / "cache" / "other.data"
    kept.parent.mkdir()
    kept.write_bytes(raw.read_bytes())
    limits = {"max_scratch": kept.stat().st_blocks * 512 + qcow2.stat().st_size + 2**20}
    result = bench.run(source(qcow2), lint="Auto", limits=limits)
    assert result.lint is not None
    assert result.lint.outcome == "NotLookedInto"
    assert kept.exists()
    result = bench.run(source(qcow2), lint="Warn", limits=limits)
    assert result.lint is not None
    assert result.lint.outcome == "FindingsFound"
    assert not kept.exists()
