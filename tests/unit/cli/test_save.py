"""What ``cloudimage save`` says before it asks anybody, and what TAB offers for it."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cloudimage.cli import completion
from cloudimage.cli.app import app
from cloudimage.cli.part_file import part_of

ID = "0b1c2d3e-4f5a-4697-8879-6a5b4c3d2e1f"


def save(*words: str | Path, **environment: str) -> Result:
    nowhere = "/dev/null/none"
    known = {"KUBECONFIG": nowhere, "OS_CLIENT_CONFIG_FILE": nowhere, "HOME": nowhere}
    return CliRunner().invoke(app, ["save", *map(str, words)], env=known | environment)


def test_a_file_that_is_there_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "image"
    path.write_text("mine")
    done = save("debian-12", "--file", path)
    assert done.exit_code == 1
    assert done.output == f"{path} is there already; give --force to replace it.\n"
    assert "no usable kubeconfig" in save("debian-12", "--file", path, "--force").output
    assert path.read_text() == "mine"


def test_an_id_needs_a_cloud_and_no_cluster(tmp_path: Path) -> None:
    done = save(ID, "--file", tmp_path / "image")
    assert "An ID needs --os-cloud" in done.output
    done = save(ID.upper(), "--file", tmp_path / "image", OS_CLOUD="old")
    assert "has no cloud 'old'" in done.output


@pytest.mark.parametrize("word", ["share/x", "pod/x"])
def test_only_a_cloud_image_is_saved(tmp_path: Path, word: str) -> None:
    done = save(word, "--file", tmp_path / "image")
    assert done.exit_code == 2
    assert word in done.output


def test_what_comes_after_the_part_goes_on_behind_it(tmp_path: Path) -> None:
    target, zeros = tmp_path / "image", bytes(3 * 2**16)
    with part_of(target, "key", 0o640) as part:
        part.begin(0)
        part.write(b"head" + zeros)
    assert part.path.stat().st_size == 4 + len(zeros), "the hole at the end counts"
    with part_of(target, "key", 0o640) as part:
        part.begin(part.size())
        part.write(b"tail")
        part.finish(force=False)
    assert target.read_bytes() == b"head" + zeros + b"tail"
    assert target.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [target]


def test_tab_offers_formats() -> None:
    offered = completion.of_words(app, ["save", "x", "--format", "v"])
    assert offered == ["vmdk", "vdi", "vhd", "vhdx"]
