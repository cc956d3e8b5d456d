"""The net of publishers of images, on the source server: their files, and the pages of folders."""

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final

from support.transfer_keys import Signer
from testbed.sources import Sources

_HOST: Final = re.compile(r"https://([a-z0-9.-]+)/")


def digest(algorithm: str, content: bytes) -> str:
    """Return a hash in hexadecimal digits."""
    return hashlib.new(algorithm, content).hexdigest()


@dataclass
class Upstream:
    """The net, as far as tests have published it.

    Attributes:
        sources: Serves it.
        unique: The folder that is the net.
        signer: The key of every publisher.
        files: What is published, by host and path.
    """

    sources: Sources
    unique: str
    signer: Signer
    files: dict[str, bytes] = field(default_factory=dict)

    def here(self, text: str) -> str:
        """Return a text with its URLs leading here."""
        return _HOST.sub(lambda match: f"{self.sources.url(self.unique)}/{match[1]}/", text)

    def url(self, path: str) -> str:
        """Return where a file is."""
        return self.here(f"https://{path}")

    def put(self, path: str, content: bytes) -> None:
        """Publish a file, and list it in the pages of the folders above it."""
        self.files[path] = content
        self.sources.put(f"{self.unique}/{path}", content)
        for folder in list(PurePosixPath(path).parents)[:-1]:
            self._list(str(folder))

    def spoil(self, path: str) -> None:
        """Replace a file by one that is not what its publisher lists."""
        self.sources.put(f"{self.unique}/{path}", b"other bytes than those that are listed")

    def clear(self) -> None:
        """Take everything back."""
        folders = {str(each) for path in self.files for each in PurePosixPath(path).parents}
        for path in (*self.files, *(f"{each}/index.html" for each in folders)):
            (self.sources.folder / self.unique / path).unlink(missing_ok=True)
        self.files.clear()

    def _list(self, folder: str) -> None:
        below = (each.removeprefix(f"{folder}/") for each in self.files if _is_in(each, folder))
        names = sorted({name if not more else f"{name}/" for name, more, _ in map(_split, below)})
        page = PAGES[folder.partition("/")[0]](names)
        self.sources.put(f"{self.unique}/{folder}/index.html", page.encode())

    def sums(self, folder: str, algorithm: str, *, tag: bool = False) -> bytes:
        """Return a checksum file of what is in a folder, as coreutils writes it."""
        names = [each for each in self.files if str(PurePosixPath(each).parent) == folder]
        return b"".join(
            self.line(each, algorithm, tag=tag)
            for each in names
            if not re.search("SUM|asc$|sha256$", each)
        )

    def line(self, path: str, algorithm: str, *, tag: bool = False) -> bytes:
        """Return the line of a file in a checksum file."""
        name, value = PurePosixPath(path).name, digest(algorithm, self.files[path])
        if tag:
            return f"{algorithm.upper()} ({name}) = {value}\n".encode()
        return f"{value}  {name}\n".encode()

    def armored(self, content: bytes) -> bytes:
        """Return an armored signature of a file."""
        return self.signer.detached(content, "--armor")


def _is_in(path: str, folder: str) -> bool:
    return path.startswith(f"{folder}/")


def _split(path: str) -> tuple[str, str, str]:
    return path.partition("/")


def _apache(names: Sequence[str]) -> str:
    rows = "\n".join(
        f'<tr><td valign="top"><img src="/icons/unknown.gif" alt="[   ]"></td><td>'
        f'<a href="{name}">{name}</a></td><td align="right">2026-07-17 18:11  </td></tr>'
        for name in names
    )
    return (
        '<html><head><title>Index</title></head><body><table><tr><th><a href="?C=N;O=D">Name</a>'
        '</th></tr><tr><td><a href="/images/">Parent Directory</a></td></tr>'
        f"{rows}</table></body></html>"
    )


def _nginx(names: Sequence[str]) -> str:
    rows = "\n".join(
        f'<a href="{name}">{name[:50]}</a>     17-Jul-2026 18:11       1234' for name in names
    )
    return f'<html><body><h1>Index</h1><hr><pre><a href="../">../</a>\n{rows}</pre></body></html>'


def _fancy(names: Sequence[str]) -> str:
    rows = "\n".join(f'<td><a href="./{name}">{name}</a></td>' for name in names)
    return f'<!DOCTYPE html><table><a href="../">Parent directory</a>{rows}</table>'


PAGES: Final[dict[str, Callable[[Sequence[str]], str]]] = {
    "cloud.debian.org": _apache,
    "cloud.centos.org": _apache,
    "dl.fedoraproject.org": _apache,
    "download.cirros-cloud.net": _apache,
    "downloadcontent.opensuse.org": _fancy,
    "download.opensuse.org": _fancy,
    "cloud-images.ubuntu.com": _apache,
    "repo.almalinux.org": _nginx,
    "dl.rockylinux.org": _nginx,
    "download.freebsd.org": _nginx,
    "dl-cdn.alpinelinux.org": _nginx,
    "geo.mirror.pkgbuild.com": _nginx,
    "stable.release.flatcar-linux.net": _nginx,
    "images.example.org": _apache,  # of the samples
}
