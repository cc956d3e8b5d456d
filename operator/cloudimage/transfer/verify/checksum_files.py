"""Parses the checksum files that publishers keep beside their images; pure.

The forms are those of coreutils' ``sha256sum`` and ``sha256sum --tag`` (which is BSD's), a hash
alone, and the DIGESTS of Gentoo and Flatcar, whose comments say the algorithm of what follows.
Comments, the armor of OpenPGP and other lines are passed over; what counts is that the one name
that is looked for is there, whole, once, with hashes that do not contradict each other. A hash
without a name counts only where it is all that the file holds: anything else, a comment even, may
say that it is of another file.

A name is compared as it is written, but for a leading ``./``. An entry with another folder, such as
``images/disk.img``, is found only by that whole name: in a list of a whole tree, the last part
alone may mean several files.
"""

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from cloudimage.transfer.contract import Checksum, ChecksumAlgorithm, Reason, TransferError

MAX_BYTES: Final = 2**20
"""Limit of a checksum file, and of a signature, which is shorter anyway."""

MAX_LINE: Final = 4096

STRENGTH: Final[tuple[ChecksumAlgorithm, ...]] = ("sha512", "blake2b", "sha256", "sha1", "md5")
"""Strongest first. SHA-512 and BLAKE2b are equals; Glance computes SHA-512 itself, so it leads."""

WEAK: Final[frozenset[ChecksumAlgorithm]] = frozenset({"sha1", "md5"})
"""Algorithms of which two different files with one hash can be made."""

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

_SIGNED_BEGIN: Final = "-----BEGIN PGP SIGNED MESSAGE-----"
_SIGNATURE_BEGIN: Final = "-----BEGIN PGP SIGNATURE-----"

_NAMES_SHOWN = 3
_NAMES_COMPARED = 500  # comparing costs time, and the file is a stranger's
_NAME_LENGTH = 120


@dataclass(frozen=True)
class _Entry:
    """One line; ``name`` is None for a hash alone."""

    name: str | None
    algorithm: ChecksumAlgorithm
    value: str


def choose(content: bytes, filename: str, sums_name: str) -> Checksum:
    """Return the strongest checksum that a checksum file has for a file.

    Args:
        content: Of the checksum file; if it is clearsigned, only what is inside counts.
        filename: The name to look for; bytes that are no UTF-8 as ``surrogateescape`` has them. A
            file that holds nothing but a hash needs none.
        sums_name: The name of the checksum file: it tells BLAKE2b from SHA-512.

    Raises:
        TransferError: ``SumsFileInvalid``.
    """
    text, told = _text(content), shown(sums_name)
    entries = list(_entries(text, sums_name))
    if not entries:
        raise _invalid(f"{told} has no checksum in a known format")
    named = [each for each in entries if each.name is not None]
    if not named:
        return _alone(text, entries, filename, told)
    wanted = _plain(filename)
    found = [each for each in named if each.name == wanted]
    if not found:
        raise _invalid(
            f"{told} has no checksum of {shown(filename)}{_near(wanted, named)}; the name must "
            "match exactly"
        )
    return _strongest(found, filename, told)


def shown(name: str) -> str:
    """Return a stranger's text as a message may show it: printable and short."""
    text = "".join(each if each.isprintable() else "?" for each in name[:_NAME_LENGTH])
    return text + ("..." if len(name) > _NAME_LENGTH else "")


def _alone(text: str, entries: list[_Entry], filename: str, told: str) -> Checksum:
    """Return the hash that is all there is in a text."""
    checksum = _strongest(entries, filename, told)
    if set(text.lower().split()) != {checksum.value}:
        raise _invalid(
            f"{told} has a hash without a file name among other text; such a hash is accepted only "
            "if it stands alone. Use a list with file names, or give the checksum itself"
        )
    return checksum


def _strongest(found: list[_Entry], filename: str, told: str) -> Checksum:
    values: dict[ChecksumAlgorithm, str] = {}
    for entry in found:
        if values.setdefault(entry.algorithm, entry.value) != entry.value:
            raise _invalid(
                f"{told} has two different {entry.algorithm} checksums of {shown(filename)}"
            )
    algorithm = next(each for each in STRENGTH if each in values)
    return Checksum(algorithm=algorithm, value=values[algorithm])


def _text(content: bytes) -> str:
    if len(content) > MAX_BYTES:
        raise _invalid(f"the checksum file has over {MAX_BYTES} bytes")
    # As file systems do it: names in another encoding stay different from each other.
    text = content.decode("utf-8-sig", errors="surrogateescape")
    return _inside(text) if _SIGNED_BEGIN in text else text


def _inside(text: str) -> str:
    """Return what is inside of a clearsigned text (RFC 9580, 7)."""
    _, _, rest = text.replace("\r\n", "\n").partition(_SIGNED_BEGIN)
    _, _, body = rest.partition("\n\n")  # past the armor's headers, if there are any
    body, _, _ = body.partition(_SIGNATURE_BEGIN)
    return "\n".join(line.removeprefix("- ") for line in body.split("\n"))


def _entries(text: str, sums_name: str) -> Iterator[_Entry]:
    long: ChecksumAlgorithm = "blake2b" if _BLAKE2B_FILE.search(sums_name) else "sha512"
    section: str | None = None
    for raw in text.split("\n"):  # not splitlines, which takes more than a line feed for an end
        if len(raw) > MAX_LINE:
            raise _invalid(f"{shown(sums_name)} has a line of over {MAX_LINE} characters")
        line = raw.removesuffix("\r")
        if heading := _SECTION.fullmatch(line):
            section = heading["tag"]
        elif not line.startswith("#") and (entry := _entry(line, section, long)):
            yield entry


def _entry(line: str, section: str | None, long: ChecksumAlgorithm) -> _Entry | None:
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
        return _Entry(None, algorithm, value)
    if parts["escaped"]:
        name = _ESCAPE.sub(lambda each: _UNESCAPED[each[1]], name)
    return _Entry(_plain(name), algorithm, value)


def _plain(name: str) -> str:
    while name.startswith("./"):
        name = name[2:]
    return name


def _near(wanted: str, entries: list[_Entry]) -> str:
    """Return the names most like the one that is missing, as the end of a sentence."""
    names = list(dict.fromkeys(each.name for each in entries if each.name))[:_NAMES_COMPARED]
    short = [each for each in names if len(each) <= 2 * _NAME_LENGTH]
    near = difflib.get_close_matches(wanted, short, _NAMES_SHOWN) or short[:_NAMES_SHOWN]
    return f", but of {', '.join(map(shown, near))}" if near else ""


def _invalid(message: str) -> TransferError:
    return TransferError(Reason.SUMS_FILE_INVALID, message)
