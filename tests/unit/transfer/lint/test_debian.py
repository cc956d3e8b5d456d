"""A real Debian with the real cloud-init, as mmdebstrap makes it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from cloudimage.transfer.findings import Rule
from support.guests import Kind, disk, file_system
from support.transfer_images import make
from testbed.images.debian_root import debian_root

from .conftest import Look

PACKAGES = ("cloud-init", "cloud-guest-utils", "openssh-server", "systemd-sysv")
GIB = 2**30

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        os.geteuid() != 0 or shutil.which("mmdebstrap") is None,
        reason="mmdebstrap is installed for root alone",
    ),
]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("debian")
    unpack = ["tar", "-C", folder, "--exclude=./dev/*", "-xf", debian_root(*PACKAGES)]
    subprocess.run(unpack, check=True)
    return folder


@pytest.mark.parametrize("kind", ["ext4", "btrfs"])
def test_only_the_host_keys_of_its_package(
    root: Path, tmp_path: Path, look: Look, kind: Kind
) -> None:
    system = file_system(tmp_path / "system", kind, root, size=2 * GIB)
    raw = disk(tmp_path / "raw", "gpt", system)
    make(raw, tmp_path / "image", "qcow2", compress=True)
    result = look(tmp_path / "image", None)
    assert {each.rule for each in result.findings} == {Rule.HOST_KEY}, result
    assert {each.path for each in result.findings} == {
        f"/etc/ssh/ssh_host_{name}_key" for name in ("rsa", "ecdsa", "ed25519")
    }
    assert "(Debian GNU/Linux 12 (bookworm))" in result.message


def test_without_cloud_init(root: Path, tmp_path: Path, look: Look) -> None:
    """Where the packages are removed, with the files of theirs that dpkg leaves."""
    copy = tmp_path / "copy"
    shutil.copytree(root, copy, symlinks=True)
    for name in ("cloud-init", "growpart"):
        (copy / "usr/bin" / name).unlink()
    system = file_system(tmp_path / "system", "ext4", copy, size=2 * GIB)
    result = look(disk(tmp_path / "disk", "gpt", system))
    assert {each.rule for each in result.findings} >= {Rule.CLOUD_INIT, Rule.GROWPART}
