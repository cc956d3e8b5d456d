"""``cloudimage transfer`` as its user runs it."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from support.transfer_keys import Signer
from support.transfer_runs import Bench, checksum

pytestmark = pytest.mark.cloud


def environment(bench: Bench, **more: str) -> dict[str, str]:
    """Return a user's environment: clouds.yaml, and a cache that goes with the test."""
    clouds = {"OS_CLIENT_CONFIG_FILE": str(bench.openstack.clouds_yaml)}
    cache = {"XDG_CACHE_HOME": str(bench.scratch.parent / "home")}
    return {**os.environ, **clouds, **cache, "COLUMNS": "500", **more}


def command(bench: Bench, url: str, *words: str | Path) -> list[str]:
    options = ("--url", url, "--name", bench.unique, "--os-cloud", bench.project)
    line = (sys.executable, "-m", "cloudimage", "transfer", *options, *words)
    return list(map(str, line))


def by_hand(
    bench: Bench, url: str, *words: str | Path, **more: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(bench, url, *words),
        env=environment(bench, **more),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_image_is_shown_and_warnings_told(bench: Bench, qcow2: Path) -> None:
    weak = f"md5:{checksum(qcow2, 'md5')['value']}"
    done = by_hand(bench, bench.put(qcow2), "--checksum", weak, "--visibility", "shared")
    assert done.returncode == 0, done.stderr
    assert "only by md5, which can be forged" in done.stderr
    (image,) = bench.images()
    assert done.stdout == f"{image.id}\n"
    assert (image.visibility, image.is_hidden) == ("shared", False)
    assert not [each for each in image.properties if each.startswith("cloudimage")]


def test_publishing_that_is_forbidden(bench: Bench, qcow2: Path) -> None:
    done = by_hand(bench, bench.put(qcow2), "--visibility", "public")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert (
        "still private and hidden, because its visibility could not be set to public" in done.stderr
    )
    (image,) = bench.images()
    assert done.stdout == f"{image.id}\n"
    assert image.is_hidden


def test_killed_run_is_resumed_and_swept(bench: Bench, qcow2: Path) -> None:
    size = qcow2.stat().st_size
    url = f"{bench.put(qcow2)}?rate={size // 4}"
    scratch = bench.scratch.parent / "home" / "cloudimage"
    with subprocess.Popen(command(bench, url), env=environment(bench)) as killed:
        deadline = time.monotonic() + 20
        while not any(part.stat().st_size for part in scratch.glob("cache/*.part")):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        limits = Path(f"/proc/{killed.pid}/limits").read_text()
        killed.kill()
    assert re.search(r"Max core file size +0 +0 ", limits)
    assert scratch.stat().st_mode & 0o777 == 0o700
    assert len(list(scratch.glob("hand-*"))) == 1
    assert by_hand(bench, url).returncode == 0
    assert [path.name for path in scratch.iterdir()] == ["cache"]
    ranges = [
        each.headers.get("range", "")
        for each in bench.sources.requests(f"{bench.unique}-{qcow2.name}")
    ]
    assert any(re.fullmatch(r"bytes=[1-9]\d*-", each) for each in ranges), ranges


@pytest.mark.slow
@pytest.mark.parametrize("secret", ["right", "wrong"])
def test_credentials_come_from_the_environment(bench: Bench, qcow2: Path, secret: str) -> None:
    url = f"{bench.put(qcow2)}?auth=me:right"
    user = {"CLOUDIMAGE_SOURCE_USERNAME": "me", "CLOUDIMAGE_SOURCE_PASSWORD": secret}
    done = by_hand(bench, url, **user)
    assert (done.returncode == 0) == (secret == "right"), done.stderr
    assert len(bench.images()) == (secret == "right")


@pytest.mark.parametrize("keys", ["ours", "foreign"])
@pytest.mark.parametrize("covered", ["image", "sums", "clearsigned"])
def test_signature(bench: Bench, qcow2: Path, tmp_path: Path, covered: str, keys: str) -> None:
    with TemporaryDirectory(dir="/tmp") as short:  # gpg's socket is in it
        signer, other = Signer.made(Path(short, "k")), Signer.made(Path(short, "o"))
        (tmp_path / "keys.asc").write_text((signer if keys == "ours" else other).public())
        sums = f"{checksum(qcow2, 'sha256')['value']}  {bench.unique}-{qcow2.name}\n".encode()
        content = qcow2.read_bytes() if covered == "image" else sums
        detached, clear = signer.detached(content), signer.clearsigned(sums)
    words: list[str | Path] = ["--keyring", tmp_path / "keys.asc"]
    if covered != "image":
        served = clear if covered == "clearsigned" else sums
        words += ["--checksums-url", bench.sources.put(f"{bench.unique}-SUMS", served)]
    if covered != "clearsigned":
        words += ["--signature-url", bench.sources.put(f"{bench.unique}-SIGNATURE", detached)]
    done = by_hand(bench, bench.put(qcow2), *words)
    assert (done.returncode == 0) == (keys == "ours"), done.stderr
    assert ("SignatureInvalid" in done.stderr) == (keys == "foreign")
