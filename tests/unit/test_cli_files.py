"""``make cli``: the single file starts, and krew gets a manifest that fits its archive."""

import hashlib
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import yaml

from cloudimage import __version__
from testbed.paths import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "tools"))
import cli

URL = "https://downloads.example.org/a"


def test_krews_manifest_fits_the_archive(tmp_path: Path) -> None:
    program = tmp_path / "cloudimage"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    archive = cli.archive(program, tmp_path)
    made = yaml.safe_load(cli.manifest(archive, URL + "/"))
    # https://krew.sigs.k8s.io/docs/developer-guide/plugin-manifest/
    assert made["apiVersion"] == "krew.googlecontainertools.github.com/v1alpha2"
    assert (made["kind"], made["metadata"]) == ("Plugin", {"name": "cloudimage"})
    assert made["spec"]["version"] == f"v{__version__}"
    assert len(made["spec"]["shortDescription"]) <= 50
    [platform] = made["spec"]["platforms"]
    assert platform["uri"] == f"{URL}/{archive.name}"
    assert platform["sha256"] == hashlib.sha256(archive.read_bytes()).hexdigest()
    with tarfile.open(archive) as packed:
        assert sorted(packed.getnames()) == sorted(each["from"] for each in platform["files"])
        assert packed.getmember(platform["bin"]).mode & 0o111
    assert "$" not in cli.manifest(archive, URL)


@pytest.mark.slow
def test_the_single_file_is_all_three_programs(tmp_path: Path) -> None:
    made = tmp_path / "made"
    command = [sys.executable, cli.__file__, "--url", URL, "--output", made]
    subprocess.run(command, check=True)

    def run(name: str, *words: str) -> str:
        link = tmp_path / name
        link.symlink_to(made / "cloudimage")
        # Nothing of this environment: neither its packages nor its folder.
        env = {"SHIV_ROOT": str(tmp_path / "shiv"), "HOME": str(tmp_path), "PATH": _path()}
        done = subprocess.run([link, *words], env=env, capture_output=True, text=True, check=True)
        return done.stdout

    assert run("cloudimage", "--version").startswith(f"cloudimage {__version__}")
    assert "Usage: kubectl-cloudimage" in run("kubectl-cloudimage", "--help")
    assert run("kubectl_complete-cloudimage", "force") == "force-delete\n:4\n"


def _path() -> str:
    base = Path(os.path.realpath(sys.executable)).parent
    return f"{base}:{os.environ['PATH']}"


def test_the_package_is_not_called_like_somebody_elses() -> None:
    for page in [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")]:
        named = re.findall(r"(?:pip|pipx|uv tool) install (?:\S*/)?([a-z-]+)", page.read_text())
        assert set(named) <= {"cloudimage-operator", "cloudimage"}, page
        if "cloudimage" in named:
            assert "another project's" in page.read_text(), page
