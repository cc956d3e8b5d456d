"""What the catalogue says of itself is so, and the command line prints it."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from cloudimage.api.cloudimage import CloudImageSpec
from cloudimage.catalogue import KEY, Entry, entries
from cloudimage.cli.app import app
from cloudimage.sources.base import Reference
from cloudimage.sources.registry import source_of
from cloudimage.transfer.source.http.index.patterns import Pattern
from testbed.paths import REPOSITORY

FINGERPRINT = re.compile(r"\b[0-9A-F]{40}\b")
EVERY = pytest.mark.parametrize("entry", entries(), ids=lambda each: each.name)


def run(*words: str) -> tuple[int, str]:
    """Run a command; return its exit status and what it printed."""
    done = CliRunner().invoke(app, list(words))
    return done.exit_code, done.output


def fingerprints(keyring: str, folder: Path) -> set[str]:
    """Return those of the primary keys, as gpg reads them."""
    file = folder / "keys.asc"
    file.write_text(keyring)
    command = ["gpg", "--homedir", str(folder), "--batch", "--with-colons", "--show-keys", file]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    lines = [line.split(":") for line in told.splitlines()]
    primary = [lines[place + 1 :] for place, line in enumerate(lines) if line[0] == "pub"]
    return {next(line[9] for line in rest if line[0] == "fpr") for rest in primary}


@EVERY
def test_a_signature_is_checked_by_the_keys_that_the_comment_names(
    entry: Entry, tmp_path: Path
) -> None:
    named = set(FINGERPRINT.findall(entry.proof))
    spec = CloudImageSpec.model_validate(entry.cloud_image["spec"])
    references = source_of(spec).references()
    if entry.keyring is None:
        assert references == ()
        assert entry.proof.startswith("Unsigned here: ")
        assert not named
        return
    assert entry.proof.startswith("Signed by ")
    assert named == fingerprints(entry.keyring, tmp_path)
    assert references == (_keyring_of(entry, references[0].name),)


def _keyring_of(entry: Entry, name: str) -> Reference:
    return Reference(name, "ConfigMap", f"{entry.name}-keyring", KEY)


@EVERY
def test_an_image_is_complete(entry: Entry) -> None:
    body = entry.cloud_image
    image, http = body["spec"]["image"], body["spec"]["source"]["http"]
    assert body["metadata"]["name"] == entry.name
    assert image["minDiskGiB"] > 0
    assert image["minRamMiB"] >= 128  # what CirrOS, the smallest, needs with BIOS
    wanted = {"architecture", "os_distro", "os_admin_user", "hw_disk_bus", "hw_vif_model"}
    assert wanted <= image["properties"].keys()
    assert image["properties"]["image_original_user"] == image["properties"]["os_admin_user"]
    assert body["spec"]["follow"] == {"every": "6h"}
    assert not re.search("http://", entry.text)
    index = http["index"]
    for pattern in (index.get("pattern"), *index.get("folder", "").split("/")):
        Pattern(pattern or "")
    # Simple Streams have the checksums themselves.
    assert ("checksum" in http) == ("simpleStreams" not in index)


def test_the_list_has_every_image() -> None:
    status, text = run("catalogue", "list")
    assert status == 0
    heading, *rows = [re.split(" {2,}", line) for line in text.splitlines()]
    assert heading == ["NAME", "IMAGE", "FOUND BY", "SIGNED"]
    assert [row[0] for row in rows] == [each.name for each in entries()]
    assert ["rocky-9", "Rocky Linux 9", "checksums", "no"] in rows
    assert ["ubuntu-24.04", "Ubuntu 24.04", "simpleStreams", "yes"] in rows


def test_numbers_in_names_are_in_their_order() -> None:
    names = [each.name for each in entries() if each.name.startswith("rocky")]
    assert names == ["rocky-8", "rocky-9", "rocky-10"]


@EVERY
def test_new_prints_the_image_for_a_cloud(entry: Entry) -> None:
    status, text = run("new", entry.name, "--secret", "a: b", "--cloud", "c", "-n", "images")
    assert status == 0
    documents: list[dict[str, Any]] = list(yaml.safe_load_all(text))
    reference = {"secretName": "a: b", "cloudName": "c"}
    assert documents[0]["spec"]["cloudCredentialsRef"] == reference
    assert {each["metadata"]["namespace"] for each in documents} == {"images"}
    kinds = ["CloudImage"] if entry.keyring is None else ["CloudImage", "ConfigMap"]
    assert [each["kind"] for each in documents] == kinds
    assert text.startswith(f"# {entry.comments[0]}\n")


def test_the_wheel_has_every_file_of_it(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=REPOSITORY, check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    here = REPOSITORY / "operator"
    files = {
        str(each.relative_to(here))
        for each in (here / "cloudimage" / "catalogue").rglob("*")
        if each.suffix in {".yaml", ".asc"}
    }
    assert files
    assert files <= set(zipfile.ZipFile(wheel).namelist())


def test_an_unknown_image_is_told_with_those_like_it() -> None:
    status, text = run("new", "debian12", "--secret", "s", "--cloud", "c")
    assert status == 2
    assert "the catalogue has no image 'debian12'. Did you mean debian-12" in text


def test_names_are_completed() -> None:
    words = {"COMP_WORDS": "cloudimage new ubuntu-2", "COMP_CWORD": "2"}
    env = {"_CLOUDIMAGE_COMPLETE": "bash_complete", **words}
    done = CliRunner().invoke(app, prog_name="cloudimage", env=env)
    assert [line.split(",")[1] for line in done.output.split()] == [
        "ubuntu-22.04",
        "ubuntu-24.04",
        "ubuntu-26.04",
    ]
