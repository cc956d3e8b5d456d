"""A list of images as openstack-image-manager has it, and what is made of it by import."""

import re
from pathlib import Path
from typing import Any

import yaml
from click.testing import CliRunner, Result

from cloudimage.cli.app import app

SHA256 = "0b1c2d3e4f5a69788796a5b4c3d2e1f00b1c2d3e4f5a69788796a5b4c3d2e1f0"
BASE = "https://images.example.org/debian"
ENTRY = f"""\
  - name: Example Linux 12
    enable: true
    shortname: example-12
    format: qcow2
    login: example
    password: opensesame
    min_disk: 8
    min_ram: 512
    status: active
    visibility: public
    multi: true
    meta:
      architecture: x86_64
      hw_disk_bus: scsi
      hw_firmware_type: null
      hw_vif_multiqueue_enabled: true
      os_distro: debian
      os_version: 24.10
      replace_frequency: quarterly
      uuid_validity: last-3
      provided_until: none
    tags: [golden]
    versions:
      - version: '20240703'
        url:
          {BASE}/20240703/example-12.qcow2
        mirror_url: https://mirror.example.org/20240703-example-12.qcow2
        checksum: "sha256:{SHA256}"
        build_date: 2024-07-03
      - version: '20231002'
        url: {BASE}/20231002/example-12.qcow2
        build_date: 2023-10-02
"""


def run(folder: Path, entries: str, *options: str) -> Result:
    """Run the command over a list of images in a file."""
    path = folder / "example.yml"
    path.write_text(f"---\nimages:\n{entries}")
    words = ["import", str(path), "--secret", "openstack", "--cloud", "images", *options]
    return CliRunner().invoke(app, words)


def made(folder: Path, entries: str, *options: str) -> dict[str, dict[str, Any]]:
    """Return the specs that the command makes of a list, by their names."""
    done = run(folder, entries, *options)
    assert done.exit_code == 0, done.output
    return {each["metadata"]["name"]: each["spec"] for each in yaml.safe_load_all(done.stdout)}


def changed(pattern: str, text: str) -> str:
    """Return the entry with one line, or more, replaced."""
    entry, count = re.subn(pattern, text, ENTRY, flags=re.MULTILINE)
    assert count
    return entry
