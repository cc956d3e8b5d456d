"""``cloudimage lint``: real files by real tools, as its user runs it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.guests import CLEAN, Files, disk, file_system, tree
from support.transfer_images import make, raw_disk


def lint(folder: Path, place: Path, *words: str, status: int) -> str:
    """Run the command with a scratch of the test's own; nothing of the run is left there."""
    command = [sys.executable, "-m", "cloudimage", "lint", str(place), *words]
    env = {**os.environ, "XDG_CACHE_HOME": str(folder), "COLUMNS": "500"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    assert list((folder / "cloudimage").glob("hand-*")) == []
    return done.stdout


def image(folder: Path, *layers: Files) -> Path:
    system = file_system(folder / "system", "ext4", tree(folder / "guest", CLEAN, *layers))
    make(disk(folder / "raw", "gpt", system), folder / "image", "qcow2", compress=True)
    return folder / "image"


def test_findings(tmp_path: Path) -> None:
    path = image(tmp_path, {"etc/shadow": "root::1::::::\n", "var/log/a\nb\x1b[2J": "x"})
    first, second = lint(tmp_path, path, status=1).splitlines()
    assert first.startswith("EmptyPassword: /etc/shadow: the user root has an empty password")
    assert second.startswith("Logs: /var/log/a: ")
    told = json.loads(lint(tmp_path, path, "-o", "json", status=1))
    assert told["outcome"] == "FindingsFound"
    assert [each["rule"] for each in told["findings"]] == ["EmptyPassword", "Logs"]
    assert path.exists()


def test_nothing_found(tmp_path: Path) -> None:
    said = lint(tmp_path, image(tmp_path), status=0)
    assert said == "Nothing was found in the image (Debian GNU/Linux 12 (bookworm)).\n"


@pytest.mark.parametrize("words", [(), ("-o", "json")])
def test_nothing_known(tmp_path: Path, words: tuple[str, ...]) -> None:
    raw_disk(tmp_path / "disk", 8 * 2**20)
    said = lint(tmp_path, tmp_path / "disk", *words, status=3)
    assert "no file system was recognised on it" in said


def test_what_a_cloud_image_would_not_take(tmp_path: Path) -> None:
    (tmp_path / "page").write_text("<!doctype html><html></html>" * 100)
    told = json.loads(lint(tmp_path, tmp_path / "page", "-o", "json", status=1))
    assert told["reason"] == "SourceNotAnImage"
