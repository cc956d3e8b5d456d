"""Parses the checksum files that publishers keep beside their images; pure.

The forms of their lines are those of :mod:`.checksum_lines`. The armor of OpenPGP is passed over;
what counts is that the one name that is looked for is there, whole, once, with hashes that do not
contradict each other. A hash without a name counts only where it is all that the file holds:
anything else, a comment even, may say that it is of another file.

A name is compared as it is written, but for a leading ``./``, and for blanks around it where no
other is the same. An entry with another folder, such as ``images/disk.img``, is found only by that
whole name: in a list of a whole tree, the last part alone may mean several files.
"""

import codecs
import difflib
from typing import Final

from cloudimage.sizes import size_text
from cloudimage.transfer.contract import Checksum, ChecksumAlgorithm, Reason, TransferError
from cloudimage.transfer.verify.checksum_lines import Entry, entries, plain

MAX_BYTES: Final = 2**20
"""Limit of a checksum file, and of a signature, which is shorter anyway."""

MAX_LINE: Final = 4096

STRENGTH: Final[tuple[ChecksumAlgorithm, ...]] = ("sha512", "blake2b", "sha256", "sha1", "md5")
"""Strongest first. SHA-512 and BLAKE2b are equals; Glance computes SHA-512 itself, so it leads."""

WEAK: Final[frozenset[ChecksumAlgorithm]] = frozenset({"sha1", "md5"})
"""Algorithms of which two different files with one hash can be made."""

_SIGNED_BEGIN: Final = "-----BEGIN PGP SIGNED MESSAGE-----"
_SIGNATURE_BEGIN: Final = "-----BEGIN PGP SIGNATURE-----"

_NAMES_SHOWN = 3
_NAMES_COMPARED = 500  # comparing costs time, and the file is a stranger's
_NAME_LENGTH = 120


def choose(content: bytes, filename: str, sums_name: str, *, beside: bool = False) -> Checksum:
    """Return the strongest checksum that a checksum file has for a file.

    Args:
        content: Of the checksum file; if it is clearsigned, only what is inside counts.
        filename: The name to look for; bytes that are no UTF-8 as ``surrogateescape`` has them. A
            file that holds nothing but a hash needs none.
        sums_name: The name of the checksum file: it tells BLAKE2b from SHA-512.
        beside: The URL of the checksum file says that it is of this file alone. If it has one name,
            that is another of this file: a link to the latest build has the build's.

    Raises:
        TransferError: ``SumsFileInvalid``.
    """
    text, told = _text(content, shown(sums_name)), shown(sums_name)
    found = list(entries(text, sums_name))
    if not found:
        raise _invalid(
            f"{told} has no checksum in a known format. Give another URL as checksum.from.url, or "
            "the checksum itself"
        )
    named = [each for each in found if each.name is not None]
    if not named:
        return _alone(text, found, filename, told)
    wanted = plain(filename)
    right = _called(wanted, named)
    if not right and beside and len({each.name for each in named}) == 1:
        right = named
    if not right:
        raise _invalid(
            f"{told} has no checksum of {_quoted(filename)}{_near(wanted, named)}; the name must "
            "match exactly. If it is another name of this file, give it as checksum.from.filename"
        )
    return _strongest(right, filename, told)


def names(content: bytes, sums_name: str) -> tuple[str, ...]:
    """Return the names that a checksum file has, each once.

    Raises:
        TransferError: ``SumsFileInvalid``.
    """
    text = _text(content, shown(sums_name))
    return tuple(dict.fromkeys(each.name for each in entries(text, sums_name) if each.name))


def _called(wanted: str, named: list[Entry]) -> list[Entry]:
    """Return the entries of a name, failing that those with blanks around it."""
    return [each for each in named if each.name == wanted] or [
        each for each in named if each.name and each.name.strip(" \t") == wanted
    ]


def shown(name: str) -> str:
    """Return a stranger's text as a message may show it: printable and short."""
    text = "".join(each if each.isprintable() else "?" for each in name[:_NAME_LENGTH])
    return text + ("..." if len(name) > _NAME_LENGTH else "")


def _quoted(name: str) -> str:
    return f'"{shown(name)}"'  # or nobody sees a blank at its end


def _alone(text: str, found: list[Entry], filename: str, told: str) -> Checksum:
    """Return the hash that is all there is in a text."""
    checksum = _strongest(found, filename, told)
    if set(text.lower().split()) != {checksum.value}:
        raise _invalid(
            f"{told} has a hash without a file name among other text; such a hash is accepted only "
            "if it stands alone. Use a list with file names, or give the checksum itself"
        )
    return checksum


def _strongest(found: list[Entry], filename: str, told: str) -> Checksum:
    values: dict[ChecksumAlgorithm, str] = {}
    for entry in found:
        if values.setdefault(entry.algorithm, entry.value) != entry.value:
            raise _invalid(
                f"{told} has two different {entry.algorithm} checksums of {_quoted(filename)}"
            )
    algorithm = next(each for each in STRENGTH if each in values)
    return Checksum(algorithm=algorithm, value=values[algorithm])


def _text(content: bytes, told: str) -> str:
    if len(content) > MAX_BYTES:
        raise _invalid(f"the checksum file has over {size_text(MAX_BYTES)}")
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # PowerShell's
        try:
            text = content.decode("utf-16")
        except UnicodeDecodeError as error:
            raise _invalid(f"{told} begins as UTF-16, but is not; save it as UTF-8") from error
    else:
        # As file systems do it: names in another encoding stay different from each other.
        text = content.decode("utf-8-sig", errors="surrogateescape")
    if any(len(line) > MAX_LINE for line in text.split("\n")):
        raise _invalid(f"{told} has a line of over {MAX_LINE} characters")
    return _inside(text) if _SIGNED_BEGIN in text else text


def _inside(text: str) -> str:
    """Return what is inside of a clearsigned text (RFC 9580, 7)."""
    _, _, rest = text.replace("\r\n", "\n").partition(_SIGNED_BEGIN)
    _, _, body = rest.partition("\n\n")  # past the armor's headers, if there are any
    body, _, _ = body.partition(_SIGNATURE_BEGIN)
    return "\n".join(line.removeprefix("- ") for line in body.split("\n"))


def _near(wanted: str, named: list[Entry]) -> str:
    """Return the names most like the one that is missing, as the end of a sentence."""
    names = list(dict.fromkeys(each.name for each in named if each.name))[:_NAMES_COMPARED]
    short = [each for each in names if len(each) <= 2 * _NAME_LENGTH]
    near = difflib.get_close_matches(wanted, short, _NAMES_SHOWN) or short[:_NAMES_SHOWN]
    return f", but of {', '.join(map(_quoted, near))}" if near else ""


def _invalid(message: str) -> TransferError:
    return TransferError(Reason.SUMS_FILE_INVALID, message)
