"""Official releases: fetched only on request, and installed only when their checksum fits."""

import hashlib
import os
import platform
import sys
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path

import requests

from testbed.kubernetes.errors import BinaryError, ChecksumError
from testbed.kubernetes.pins import Tool

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
CHUNK_BYTES = 1 << 20
TIMEOUT_SECONDS = 60


def origin() -> str | None:
    """Return what stands before the host in release URLs, or None when not to download.

    ``TESTBED_DOWNLOAD=1`` means the projects' own servers. A URL means a mirror that has each
    host as a folder (``https://mirror.example/dl.k8s.io/...``).
    """
    wish = os.environ.get("TESTBED_DOWNLOAD", "")
    if wish in {"", "0"}:
        return None
    return "https:/" if wish == "1" else wish.rstrip("/")


def download(tools: Iterable[Tool], folder: Path, start: str) -> None:
    """Download the tools into the folder.

    Raises:
        BinaryError: A server did not answer as expected.
        ChecksumError: The content is not what was published; nothing was installed.
    """
    for tool in tools:
        try:
            _install(tool, folder, start)
        except requests.RequestException as error:
            raise BinaryError(f"{tool.name} could not be downloaded: {error}") from error


def _install(tool: Tool, folder: Path, start: str) -> None:
    url = f"{start}/{_fill(tool.release, tool)}"
    print(f"kubernetes: downloading {url}", file=sys.stderr)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        archive = Path(scratch) / url.rpartition("/")[2]
        _verify(archive, _fetch(url, archive), _text(f"{start}/{_fill(tool.sums, tool)}"))
        program = _extract(archive, _fill(tool.member, tool)) if tool.member else archive
        program.chmod(0o755)
        program.replace(folder / tool.name)


def _fill(template: str, tool: Tool) -> str:
    machine = platform.machine()
    return template.format(
        version=tool.version,
        number=tool.version.removeprefix("v"),
        arch=ARCHITECTURES.get(machine, machine),
    )


def _fetch(url: str, path: Path) -> str:
    """Save the URL's content and return its SHA-256 in hexadecimal."""
    digest = hashlib.sha256()
    with requests.get(url, stream=True, timeout=TIMEOUT_SECONDS) as answer, path.open("wb") as file:
        answer.raise_for_status()
        for chunk in answer.iter_content(CHUNK_BYTES):
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()


def _text(url: str) -> str:
    answer = requests.get(url, timeout=TIMEOUT_SECONDS)
    answer.raise_for_status()
    return answer.text


def _verify(archive: Path, actual: str, sums: str) -> None:
    """Compare with a sums file: lines of ``<sha256>  <file name>``, or the checksum alone."""
    rows = [line.split() for line in sums.splitlines() if line.strip()]
    expected = [row[0] for row in rows if len(row) == 1 or row[1].lstrip("*") == archive.name]
    if expected != [actual]:
        raise ChecksumError(
            f"{archive.name} has SHA-256 {actual}, but its project published {expected}: not used"
        )


def _extract(archive: Path, member: str) -> Path:
    path = archive.with_name("program")
    with tarfile.open(archive) as tar:
        content = tar.extractfile(member)
        if content is None:
            raise BinaryError(f"{archive.name} has no file {member}")
        with content, path.open("wb") as file:
            while chunk := content.read(CHUNK_BYTES):
                file.write(chunk)
    return path
