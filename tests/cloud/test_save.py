"""``cloudimage save`` as its user runs it: real images of the real Glance, and roads that fail."""

import hashlib
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.fault_proxy import Fault, FaultProxy
from support.openstack_actions import make_image
from support.transfer_images import DISK_SIZE
from support.transfer_runs import Bench

pytestmark = pytest.mark.cloud

Put = Callable[..., str]
Done = subprocess.CompletedProcess[bytes]


@pytest.fixture
def put(bench: Bench) -> Iterator[Put]:
    """Make a private image, and return its id."""
    own, made = bench.connection(), []

    def image(path: Path, shape: str = "raw", **attributes: Any) -> str:
        wanted = {"disk_format": shape, "visibility": "private", **attributes}
        made.append(make_image(own, path.read_bytes(), **wanted).id)
        return str(made[-1])

    yield image
    for each in made:
        own.image.delete_image(each, ignore_missing=True)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A file in a folder of its own."""
    folder = tmp_path / "saved"
    folder.mkdir()
    return folder / "image"


class Saver:
    """The command, with its user's environment."""

    def __init__(self, bench: Bench, clouds: Path | None = None) -> None:
        self.cloud = bench.project
        self.environment = {
            **os.environ,
            "OS_CLIENT_CONFIG_FILE": str(clouds or bench.openstack.clouds_yaml),
            "XDG_CACHE_HOME": str(bench.scratch.parent / "home"),
            "COLUMNS": "500",
        }

    def start(self, image: str, place: str | Path, *words: str) -> subprocess.Popen[bytes]:
        """Start it."""
        command = [sys.executable, "-m", "cloudimage", "save", image, "--file", str(place)]
        return subprocess.Popen(
            [*command, "--os-cloud", self.cloud, *words],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            umask=0o022,
        )

    def run(self, image: str, place: str | Path, *words: str, status: int = 0) -> Done:
        """Run it to its end."""
        with self.start(image, place, *words) as process:
            out, err = process.communicate(timeout=120)
        assert process.returncode == status, err.decode()
        assert b"Traceback" not in err
        return subprocess.CompletedProcess((), status, out, err)


@pytest.fixture
def saver(bench: Bench) -> Saver:
    """The command."""
    return Saver(bench)


@pytest.fixture
def by_proxy(bench: Bench, tmp_path: Path) -> Callable[[FaultProxy], Saver]:
    """Return the command for a clouds.yaml that leads to a proxy before Glance."""

    def made(proxy: FaultProxy) -> Saver:
        cloud = bench.openstack.cloud(bench.project) | {"image_endpoint_override": proxy.url}
        path = tmp_path / "clouds.yaml"
        path.write_text(json.dumps({"clouds": {bench.project: cloud}}))
        return Saver(bench, path)

    return made


def before_glance(bench: Bench, *faults: Fault) -> FaultProxy:
    session: Any = bench.connection().session
    return FaultProxy(session.get_endpoint(service_type="image"), *faults)


def alone(target: Path) -> bool:
    """Return whether nothing is beside the file."""
    return [each.name for each in target.parent.iterdir()] == [target.name]


def test_bytes_come_as_they_are_with_holes(
    put: Put, saver: Saver, disk: Path, target: Path
) -> None:
    done = saver.run(put(disk), target)
    assert target.read_bytes() == disk.read_bytes()
    assert done.stdout.decode() == f"{target}: raw, 16.0 MiB, matches Glance's sha512\n"
    status = target.stat()
    assert status.st_blocks * 512 < DISK_SIZE * 2 // 3, "zeros take no place"
    assert (stat.S_IMODE(status.st_mode), status.st_nlink) == (0o644, 1)
    assert alone(target)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_was_stopped_is_resumed(
    bench: Bench,
    put: Put,
    by_proxy: Callable[[FaultProxy], Saver],
    disk: Path,
    target: Path,
    number: signal.Signals,
) -> None:
    image, running = put(disk), list[subprocess.Popen[bytes]]()

    def stop(_: str) -> None:
        running[0].send_signal(number)

    cut = Fault("GET", "/file", "cut answer", at=DISK_SIZE // 2 + 5, call=stop)
    with before_glance(bench, cut) as proxy:
        saver = by_proxy(proxy)
        running.append(saver.start(image, target))
        with running[0] as process:
            process.communicate(timeout=120)
        assert process.returncode == (130 if number == signal.SIGINT else -number)
        assert not target.exists()
        (part,) = target.parent.iterdir()
        assert 0 < part.stat().st_size <= cut.at
        there = part.stat().st_size
        proxy.ranges.clear()
        saver.run(image, target)
    assert proxy.ranges == [f"bytes={there}-{DISK_SIZE - 1}"], "the rest alone was asked for"
    assert target.read_bytes() == disk.read_bytes()
    assert alone(target)


@pytest.mark.slow
def test_a_part_with_wrong_bytes_is_begun_again(
    put: Put, saver: Saver, disk: Path, target: Path
) -> None:
    image = put(disk)
    target.with_name(f"image.{image}.part").write_bytes(b"x" * 5000)
    saver.run(image, target)
    assert target.read_bytes() == disk.read_bytes()


@pytest.mark.parametrize("place", ["file", "-"])
def test_wrong_bytes_of_glance_leave_no_file(
    bench: Bench,
    put: Put,
    by_proxy: Callable[[FaultProxy], Saver],
    disk: Path,
    target: Path,
    place: str,
) -> None:
    image, wrong = put(disk), b"\0" * DISK_SIZE
    with before_glance(
        bench, Fault("GET", "/file", "answer", status=200, content=wrong, times=9)
    ) as proxy:
        where = target if place == "file" else place
        done = by_proxy(proxy).run(image, where, status=1)
    assert b"ChecksumMismatch" in done.stderr
    assert list(target.parent.iterdir()) == []
    assert len(done.stdout) < DISK_SIZE, "who reads it is not given a whole image"


def test_no_file_is_overwritten_unless_that_is_asked_for(
    put: Put, saver: Saver, disk: Path, target: Path
) -> None:
    image = put(disk)
    target.write_text("mine")
    done = saver.run(image, target, status=1)
    assert b"is there already; give --force" in done.stderr
    assert target.read_text() == "mine"
    saver.run(image, target, "--force")
    assert target.read_bytes() == disk.read_bytes()
    assert alone(target)


@pytest.mark.slow
def test_a_file_that_appears_meanwhile_is_not_overwritten(
    bench: Bench, put: Put, by_proxy: Callable[[FaultProxy], Saver], disk: Path, target: Path
) -> None:
    image = put(disk)

    def appear(_: str) -> None:
        target.write_text("mine")

    with before_glance(bench, Fault("GET", "/file", "cut answer", at=9, call=appear)) as proxy:
        saver = by_proxy(proxy)
        done = saver.run(image, target, status=1)
        assert b"is there already" in done.stderr
        assert target.read_text() == "mine"
        proxy.ranges.clear()
        saver.run(image, target, "--force")
        assert proxy.ranges == [], "all of it was there"
    assert target.read_bytes() == disk.read_bytes()
    assert alone(target)


def test_standard_output(put: Put, saver: Saver, disk: Path) -> None:
    assert saver.run(put(disk), "-").stdout == disk.read_bytes()


@pytest.mark.parametrize("shape", ["vmdk", "raw", "vdi", "vhd", "vhdx"])
def test_formats(
    bench: Bench, put: Put, saver: Saver, qcow2: Path, disk: Path, target: Path, shape: str
) -> None:
    done = saver.run(put(qcow2, "qcow2"), target, "--format", shape)
    assert done.stdout.decode().endswith("converted from qcow2\n")
    qemu = "vpc" if shape == "vhd" else shape
    opened = f'json:{{"driver":"{qemu}"'
    opened += ',"force_size_calc":"current_size"' if shape == "vhd" else ""
    opened += f',"file":{{"driver":"file","filename":"{target}"}}}}'
    words = ["qemu-img", "compare", opened, f"json:{json.dumps(raw_of(disk))}"]
    assert subprocess.run(words, check=False, capture_output=True).returncode == 0
    assert alone(target)
    assert not list((bench.scratch.parent / "home" / "cloudimage").glob("hand-*"))


def raw_of(path: Path) -> dict[str, Any]:
    return {"driver": "raw", "file": {"driver": "file", "filename": str(path)}}


@pytest.mark.slow
def test_a_conversion_to_standard_output(put: Put, saver: Saver, qcow2: Path, disk: Path) -> None:
    done = saver.run(put(qcow2, "qcow2"), "-", "--format", "raw")
    assert hashlib.sha256(done.stdout).digest() == hashlib.sha256(disk.read_bytes()).digest()


def test_what_refers_to_other_files_is_not_converted(
    bench: Bench, by_proxy: Callable[[FaultProxy], Saver], target: Path, tmp_path: Path
) -> None:
    path, identifier = tmp_path / "overlay", "11111111-0000-4000-8000-000000000000"
    command = ["qemu-img", "create", "-u", "-f", "qcow2", "-b", "/etc/passwd", "-F", "raw"]
    subprocess.run([*command, path, "16M"], check=True, capture_output=True)
    shown = {"status": "active", "disk_format": "qcow2", "container_format": "bare"}
    shown |= {"id": identifier, "size": path.stat().st_size}  # type: ignore[dict-item]  # values of any type
    hostile = (  # the bed's own Glance refuses such a file
        Fault("GET", identifier, "answer", 9, status=200, content=json.dumps(shown).encode()),
        Fault("GET", "/file", "answer", 9, status=200, content=path.read_bytes()),
    )
    with before_glance(bench, *hostile) as proxy:
        done = by_proxy(proxy).run(identifier, target, "--format", "raw", status=1)
    assert b"UnsafeImage" in done.stderr
    assert b"no hash of the image's bytes" in done.stderr
    assert list(target.parent.iterdir()) == []


def test_what_cannot_be_saved_says_why(put: Put, saver: Saver, disk: Path, target: Path) -> None:
    unknown = "00000000-0000-4000-8000-000000000000"
    done = saver.run(unknown, target, status=1)
    assert b"SourceNotFound" in done.stderr
    assert b"is no file" in saver.run(unknown, target.parent, status=1).stderr
    image = put(disk)
    done = saver.run(image, target.parent / "no" / "image", status=1)
    assert b"cannot be written: No such file or directory" in done.stderr
    assert list(target.parent.iterdir()) == []
