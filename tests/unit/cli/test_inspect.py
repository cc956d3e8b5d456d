"""``cloudimage inspect``: real files by real tools and servers, as its user runs it."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.hostile_image_cases import QCOW2_CASES
from support.hostile_server import Hostile, answer
from support.transfer_images import make, qemu_img, raw_disk

MIB = 2**20


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    path = tmp_path / "disk.raw"
    raw_disk(path, 8 * MIB)
    return path


@pytest.fixture
def qcow2(raw: Path, tmp_path: Path) -> Path:
    path = tmp_path / "disk.qcow2"
    make(raw, path, "qcow2", compress=True)
    return path


def inspect(
    folder: Path, place: str | Path, *words: str, status: int = 0
) -> subprocess.CompletedProcess[str]:
    """Run the command with a scratch of the test's own; nothing of the run is left there."""
    command = [sys.executable, "-m", "cloudimage", "inspect", str(place), *words]
    env = {**os.environ, "XDG_CACHE_HOME": str(folder), "COLUMNS": "500"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    assert list((folder / "cloudimage").glob("hand-*")) == []
    return done


def told(folder: Path, place: str | Path, *words: str, status: int = 0) -> Any:
    return json.loads(inspect(folder, place, *words, "-o", "json", status=status).stdout)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("form", ["qcow2", "vmdk", "vdi", "vhdx", "vpc"])
def test_it_says_what_qemu_says(form: str, raw: Path, tmp_path: Path) -> None:
    path = tmp_path / "disk"
    qemu_img("convert", "-O", form, raw, path)
    words = ("qemu-img", "info", "--output=json", path)
    theirs = json.loads(subprocess.run(words, capture_output=True, check=True).stdout)
    ours = told(tmp_path, path)
    assert ours["virtual-size"] == theirs["virtual-size"]
    assert ours["format"] == {"vpc": "vhd"}.get(form, form)
    assert ours["file-size"] == path.stat().st_size
    assert ours["checksums"] == {"sha256": sha256(path)}
    assert (ours["usable"], ours["verified"]) == (True, None)
    data = theirs.get("format-specific", {}).get("data", {})
    for name, value in ours["format-specific"].items():
        assert value == (theirs | data)[name]
    assert path.exists()


def test_text_is_for_people(qcow2: Path, tmp_path: Path) -> None:
    lines = inspect(tmp_path, qcow2).stdout.splitlines()
    assert lines[:4] == [
        f"image: {qcow2}",
        "file format: qcow2",
        f"virtual size: 8.0 MiB ({8 * MIB} bytes)",
        "minDiskGiB: 1 or more",
    ]
    assert lines[-1].startswith("verified: no")


def test_a_url_is_verified_and_unpacked(qcow2: Path, tmp_path: Path) -> None:
    subprocess.run(["/bin/gzip", "-k", qcow2], check=True)
    packed = qcow2.with_name("disk.qcow2.gz")
    with Hostile(answer(packed.read_bytes())) as server:
        url = server.url("/disk.qcow2.gz")
        found = told(tmp_path, url, "--checksum", f"sha256:{sha256(packed)}")
        assert (found["filename"], found["format"]) == (url, "qcow2")
        assert (found["file-size"], found["expanded-size"]) == (
            packed.stat().st_size,
            qcow2.stat().st_size,
        )
        assert found["verified"] == "by its sha256"
        other = told(tmp_path, url, "--checksum", f"sha256:{'0' * 64}", status=1)
        assert (other["reason"], other["usable"]) == ("ChecksumMismatch", False)


@pytest.mark.parametrize("case", QCOW2_CASES[:3], ids=lambda case: case.name)
def test_what_is_not_safe_is_not_opened(case: Any, raw: Path, tmp_path: Path) -> None:
    path = tmp_path / "image"
    case.build(raw, path)
    found = told(tmp_path, path, status=1)
    assert (found["reason"], found["usable"]) == (case.reason, False)
    assert case.words in found["message"]
    assert case.reason in inspect(tmp_path, path, status=1).stderr


@pytest.mark.parametrize(
    ("place", "words"),
    [("none", "No such file"), (".", "not a regular file"), ("/dev/zero", "reg")],
)
def test_what_is_no_file(place: str, words: str, tmp_path: Path) -> None:
    assert words in inspect(tmp_path, tmp_path / place, status=1).stderr


def test_a_file_of_another_file_system_and_by_a_link(
    qcow2: Path, tmp_path: Path, small_disk: Path
) -> None:
    link = small_disk / "link"
    link.symlink_to(qcow2)
    elsewhere = small_disk / "scratch"
    elsewhere.mkdir(mode=0o700)
    found = told(tmp_path, link, "--scratch", str(elsewhere))
    assert found["checksums"] == {"sha256": sha256(qcow2)}


def test_options_for_urls(qcow2: Path, tmp_path: Path) -> None:
    words = ("--checksums-url", "http://127.0.0.1:9/SHA256SUMS")
    assert "is for URLs" in inspect(tmp_path, qcow2, *words, status=2).stderr
    assert "http or https" in inspect(tmp_path, "ftp://127.0.0.1/a", status=2).stderr
