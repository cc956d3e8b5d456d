"""Folders of pods in a scratch that they share: each its own, and those of dead ones go."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudimage.transfer import shared_scratch
from cloudimage.transfer.shared_scratch import folder_of_a_pod

HOLD = """
import sys, time
from pathlib import Path
from cloudimage.transfer.shared_scratch import folder_of_a_pod
with folder_of_a_pod(Path(sys.argv[1])) as folder:
    print(folder, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def other(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Another process with a folder, which holds a file and has been there for an hour."""
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        folder = Path(process.stdout.readline().strip())
        (folder / "file").write_text("x")
        grow_old(folder)
        yield process, folder
        process.kill()


def grow_old(folder: Path) -> None:
    long_ago = time.time() - 3600
    os.utime(folder, (long_ago, long_ago))


def test_a_folder_goes_with_its_block(tmp_path: Path) -> None:
    with folder_of_a_pod(tmp_path) as folder:
        (folder / "file").write_text("x")
        assert folder.parent == tmp_path
    assert list(tmp_path.iterdir()) == []


def test_one_that_lives_keeps_its_folder(
    tmp_path: Path, other: tuple[subprocess.Popen[str], Path]
) -> None:
    _, folder = other
    with folder_of_a_pod(tmp_path) as mine:
        assert mine != folder
        assert (folder / "file").exists()


def test_the_folder_of_one_that_was_killed_goes(
    tmp_path: Path, other: tuple[subprocess.Popen[str], Path]
) -> None:
    process, folder = other
    process.kill()
    process.wait()
    with folder_of_a_pod(tmp_path) as mine:
        assert list(tmp_path.iterdir()) == [mine]
    assert not folder.exists()


def test_one_that_is_just_being_made_stays(tmp_path: Path) -> None:
    """It has no lock yet."""
    folder = tmp_path / f"{shared_scratch._PREFIX}new"
    folder.mkdir()
    with folder_of_a_pod(tmp_path):
        assert folder.exists()
    grow_old(folder)
    with folder_of_a_pod(tmp_path):
        assert not folder.exists()


def test_the_cache_and_the_files_of_others_stay(tmp_path: Path) -> None:
    for name in (shared_scratch.CACHE, "lost+found"):
        (tmp_path / name).mkdir()
        grow_old(tmp_path / name)
    with folder_of_a_pod(tmp_path):
        pass
    assert sorted(each.name for each in tmp_path.iterdir()) == ["cache", "lost+found"]
