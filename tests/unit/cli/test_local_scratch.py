"""Folders of one user on a machine that others also use."""

import os
from pathlib import Path

import pytest

from cloudimage.cli.local_scratch import default_scratch, private, run_folder
from cloudimage.transfer.contract import Reason, TransferError


def refusal(folder: Path) -> str:
    with pytest.raises(TransferError) as caught:
        private(folder)
    assert caught.value.reason is Reason.INVALID_REQUEST
    return caught.value.message


@pytest.mark.parametrize("base", ["", "relative"])
def test_default_is_in_the_home(base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", base)
    assert default_scratch() == tmp_path / ".cache" / "cloudimage"


def test_default_is_among_the_other_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert default_scratch() == Path("/caches/cloudimage")


def test_private_folder_is_made_and_taken_again(tmp_path: Path) -> None:
    folder = private(tmp_path / "a" / "b")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert private(folder) == folder


def test_folder_that_others_may_enter(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o755)
    assert "with mode 0700" in refusal(tmp_path / "open")


def test_folder_of_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    private(tmp_path / "theirs")
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert "that you own" in refusal(tmp_path / "theirs")


def test_link_that_another_may_turn(tmp_path: Path) -> None:
    private(tmp_path / "real")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert "that you own" in refusal(tmp_path / "link")


def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "cannot be created" in refusal(tmp_path / "file")


def test_only_what_a_killed_run_left_is_swept(tmp_path: Path) -> None:
    cache = private(tmp_path / "cache")
    (tmp_path / "hand-old" / "transfer-x").mkdir(parents=True)
    (tmp_path / "run-operator").mkdir()
    with run_folder(tmp_path, cache) as first, run_folder(tmp_path, cache) as second:
        names = {path.name for path in tmp_path.iterdir()}
        assert names == {"cache", "run-operator", first.name, second.name}
    assert {path.name for path in tmp_path.iterdir()} == {"cache", "run-operator"}
