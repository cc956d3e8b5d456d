"""The lines of checksum files, in the forms that programs write them; pure.

- coreutils' ``sha256sum`` and ``sha256sum --tag``, which is BSD's and OpenSSL's;
- a hash alone;
- the DIGESTS of Gentoo and Flatcar, whose comments say the algorithm of what follows;
- Windows' ``certutil -hashfile``: a line with the name, below it the hash, in older versions with
  blanks between its bytes;
- PowerShell's ``Get-FileHash``, as the table that it shows (``Format-Table``) or as a list
  (``Format-List``). Both programs write whole paths of the machine that they ran on, of which the
  last part is the name.

Comments and other lines are passed over.
"""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PureWindowsPath
from typing import Final

from cloudimage.transfer.contract import ChecksumAlgorithm

HEX_LENGTHS: Final[dict[ChecksumAlgorithm, int]] = {
    "sha512": 128,
    "blake2b": 128,
    "sha256": 64,
    "sha1": 40,
    "md5": 32,
}
_BY_LENGTH: Final[dict[int, ChecksumAlgorithm]] = {
    128: "sha512",
    64: "sha256",
    40: "sha1",
    32: "md5",
}
_TAGS: Final[dict[str, ChecksumAlgorithm]] = {
    "md5": "md5",
    "sha1": "sha1",
    "sha256": "sha256",
    "sha2-256": "sha256",  # OpenSSL 3's name
    "sha512": "sha512",
    "sha2-512": "sha512",
    "blake2b": "blake2b",
    "blake2b-512": "blake2b",
    "blake2b512": "blake2b",
}
_HEX = r"(?P<value>[0-9A-Fa-f]{32,128})"
_GNU = re.compile(rf"(?P<escaped>\\?){_HEX}(?: [ *]|[ \t]+)(?P<name>.+)")
_BSD = re.compile(rf"(?P<escaped>\\?)(?P<tag>[A-Za-z0-9-]+) ?\((?P<name>.+)\) ?= ?{_HEX}[ \t]*")
_BARE = re.compile(rf"{_HEX}[ \t]*")
_SECTION = re.compile(r"#\s*(?P<tag>[A-Za-z0-9-]+) HASH\s*", re.IGNORECASE)
_BLAKE2B_FILE = re.compile(r"blake2b|b2sum", re.IGNORECASE)
_ESCAPE = re.compile(r"\\([\\nr])")
_UNESCAPED: Final = {"\\": "\\", "n": "\n", "r": "\r"}

_CERTUTIL = re.compile(r"(?P<tag>[A-Za-z0-9]+) hash of (?:file )?(?P<name>.+):[ \t]*")
_SPACED = re.compile(r"[0-9A-Fa-f]{2}(?: ?[0-9A-Fa-f]{2}){15,63}[ \t]*")
_TABLE = re.compile(r"Algorithm +Hash +Path[ \t]*")
_ROW = re.compile(rf"(?P<tag>[A-Z0-9]+) +{_HEX} +(?P<name>\S.*)")
_FIELD = re.compile(r"(?P<key>Algorithm|Hash|Path) *: (?P<text>.+)")
_CONTINUED: Final = "\n" + " " * len("Algorithm : ")
"""Where ``Format-List`` breaks a text that is longer than its line."""


@dataclass(frozen=True)
class Entry:
    """One checksum; ``name`` is None for a hash alone."""

    name: str | None
    algorithm: ChecksumAlgorithm
    value: str


def entries(text: str, sums_name: str) -> Iterator[Entry]:
    """Return the checksums of a file.

    Args:
        text: Its content.
        sums_name: Its name, which tells BLAKE2b from SHA-512.
    """
    text = text.replace("\r\n", "\n").removesuffix("\r")
    lines = text.split("\n")  # not splitlines, which takes more than a line feed for an end
    yield from _of_publishers(lines, sums_name)
    yield from _of_certutil(lines)
    yield from _of_table(lines)
    yield from _of_list(text)


def plain(name: str) -> str:
    """Return a name without a leading ``./``."""
    while name.startswith("./"):
        name = name[2:]
    return name


def _of_publishers(lines: list[str], sums_name: str) -> Iterator[Entry]:
    long: ChecksumAlgorithm = "blake2b" if _BLAKE2B_FILE.search(sums_name) else "sha512"
    section: str | None = None
    for above, line in itertools.pairwise(["", *lines]):
        if heading := _SECTION.fullmatch(line):
            section = heading["tag"]
        elif line.startswith("#") or _CERTUTIL.fullmatch(above):
            continue
        elif entry := _entry(line, section, long):
            yield entry


def _entry(line: str, section: str | None, long: ChecksumAlgorithm) -> Entry | None:
    match = _BSD.fullmatch(line) or _GNU.fullmatch(line) or _BARE.fullmatch(line)
    if match is None:
        return None
    parts = match.groupdict()
    value = match["value"].lower()
    tag = parts.get("tag") or section
    algorithm = _TAGS.get(tag.lower()) if tag else _BY_LENGTH.get(len(value))
    if algorithm is None or len(value) != HEX_LENGTHS[algorithm]:
        return None
    if not tag and algorithm == "sha512":
        algorithm = long
    name = parts.get("name")
    if name is None:
        return Entry(None, algorithm, value)
    if parts["escaped"]:
        name = _ESCAPE.sub(lambda each: _UNESCAPED[each[1]], name)
    return Entry(plain(name), algorithm, value)


def _of_certutil(lines: list[str]) -> Iterator[Entry]:
    for above, line in itertools.pairwise(lines):
        if (heading := _CERTUTIL.fullmatch(above)) and _SPACED.fullmatch(line):
            yield from _of_windows(heading["name"], heading["tag"], "".join(line.split()))


def _of_table(lines: list[str]) -> Iterator[Entry]:
    within = False
    for line in lines:
        within = within or _TABLE.fullmatch(line) is not None
        if within and (row := _ROW.fullmatch(line)):
            yield from _of_windows(row["name"], row["tag"], row["value"])


def _of_list(text: str) -> Iterator[Entry]:
    fields: dict[str, str] = {}
    for line in text.replace(_CONTINUED, "").split("\n"):
        if field := _FIELD.fullmatch(line):
            fields[field["key"]] = field["text"].strip()
        if fields.keys() == {"Algorithm", "Hash", "Path"}:
            yield from _of_windows(fields["Path"], fields["Algorithm"], fields["Hash"])
            fields = {}


def _of_windows(path: str, tag: str, value: str) -> Iterator[Entry]:
    algorithm = _TAGS.get(tag.lower())
    if algorithm and re.fullmatch(f"[0-9A-Fa-f]{{{HEX_LENGTHS[algorithm]}}}", value):
        yield Entry(PureWindowsPath(path.strip()).name, algorithm, value.lower())
