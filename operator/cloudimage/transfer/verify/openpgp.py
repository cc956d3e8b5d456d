"""Checks OpenPGP signatures with gpgv.

gpgv trusts exactly the keys of the keyring that it is given, asks nobody for others, and has no
options of its user's. Its exit status says less than its status lines (GnuPG's doc/DETAILS), so
these decide.
"""

import base64
import dataclasses
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cloudimage.transfer.contract import Reason, TransferError
from cloudimage.transfer.tools.toolbox import Output, Toolbox, ToolError
from cloudimage.transfer.verify.checksum_files import shown

CPU_SECONDS_OF_TEXT: Final = 60

_STRONG_HASHES: Final[Mapping[str, str]] = {
    "8": "SHA-256",
    "9": "SHA-384",
    "10": "SHA-512",
    "11": "SHA-224",
    "12": "SHA3-256",
    "14": "SHA3-512",
}
"""By the numbers of RFC 9580, 9.5; MD5, SHA-1 and RIPEMD-160 no longer prove anything."""

_HASH_FIELD: Final = 7  # of VALIDSIG

_BAD: Final[Mapping[str, str]] = {
    "BADSIG": "does not match the signed file, which was changed",
    "REVKEYSIG": "was made by a key that was revoked",
    "EXPKEYSIG": "was made by a key that has expired",
    "EXPSIG": "has expired",
    "NO_PUBKEY": "was made by a key that is not in the keyring",
    "ERRSIG": "cannot be checked",
}
"""What a status line says of a signature, the most telling first."""

_PREFIX: Final = "[GNUPG:] "
_ACCEPTED: Final = frozenset({0, 1, 2})  # good, bad, not checked; the status lines know better
_CLEARSIGNED: Final = b"-----BEGIN PGP SIGNED MESSAGE-----"


def signed_text(text: bytes, keyring: str, tools: Toolbox) -> bytes:
    """Return the text that is signed inside of a clearsigned one.

    Raises:
        TransferError: ``SignatureInvalid``, or ``InvalidRequest`` for the keyring.
    """
    lines = [line.rstrip() for line in text.split(b"\n")]
    if lines.count(_CLEARSIGNED) != 1:
        raise _invalid(
            "it is not a single clearsigned text; give the URL of its detached signature"
        )
    tools = dataclasses.replace(tools, cpu_seconds=min(tools.cpu_seconds, CPU_SECONDS_OF_TEXT))
    with _Workplace.made(keyring, tools) as place:
        place.path("text").write_bytes(text)
        output = Output(place.name("inside"), len(text))
        _judge(place.gpgv("--output", output.name, place.name("text"), output=output))
        return place.path("inside").read_bytes()


def check_text(text: bytes, signature: bytes, keyring: str, tools: Toolbox) -> None:
    """Check the detached signature of a text.

    Raises:
        TransferError: ``SignatureInvalid``, or ``InvalidRequest`` for the keyring.
    """
    tools = dataclasses.replace(tools, cpu_seconds=min(tools.cpu_seconds, CPU_SECONDS_OF_TEXT))
    with _Workplace.made(keyring, tools) as place:
        place.path("text").write_bytes(text)
        place.path("signature").write_bytes(signature)
        _judge(place.gpgv(place.name("signature"), place.name("text")))


def check_file(name: str, signature: bytes, keyring: str, tools: Toolbox) -> None:
    """Check the detached signature of a file in the toolbox's folder.

    Raises:
        TransferError: ``SignatureInvalid``, or ``InvalidRequest`` for the keyring.
    """
    with _Workplace.made(keyring, tools) as place:
        place.path("signature").write_bytes(signature)
        _judge(place.gpgv(place.name("signature"), f"./{name}"))


@dataclass(frozen=True)
class _Workplace:
    """A folder below the toolbox's with a keyring, which is gpgv's home too."""

    folder: Path
    tools: Toolbox

    @classmethod
    @contextmanager
    def made(cls, keyring: str, tools: Toolbox) -> "Iterator[_Workplace]":
        try:
            keys = public_keys(keyring)
        except ValueError as error:
            raise TransferError(
                Reason.INVALID_REQUEST, f"the keyring cannot be read: {error}"
            ) from None
        with tempfile.TemporaryDirectory(prefix="gpgv-", dir=tools.folder) as folder:
            place = cls(Path(folder), tools)
            place.path("keyring").write_bytes(keys)
            yield place

    def path(self, name: str) -> Path:
        return self.folder / name

    def name(self, name: str) -> str:
        """Return the path for an argument, relative to where programs run."""
        return f"./{self.folder.name}/{name}"

    def gpgv(self, *words: str, output: Output | None = None) -> list[list[str]]:
        """Run gpgv and return its status lines, split into words."""
        home = ["--homedir", f"./{self.folder.name}", "--keyring", self.name("keyring")]
        try:
            told = self.tools.run(
                "gpgv", *home, "--status-fd", "1", *words, accept=_ACCEPTED, output=output
            )
        except ToolError as error:
            raise _invalid(f"gpgv failed: {error.message}") from error
        lines = told.decode(errors="replace").splitlines()
        return [line.removeprefix(_PREFIX).split() for line in lines if line.startswith(_PREFIX)]


def _judge(lines: list[list[str]]) -> None:
    """Accept one good signature or more, and none that is bad.

    Raises:
        TransferError: ``SignatureInvalid``, saying what is wrong with each signature.
    """
    signatures: list[dict[str, list[str]]] = []
    for word, *rest in filter(None, lines):
        if word == "ERROR":
            raise _invalid("it is damaged, or also signs something else")
        if word == "NEWSIG":
            signatures.append({})
        elif signatures:
            signatures[-1].setdefault(word, rest)
    problems = [_problem(each) for each in signatures]
    bad = any("BADSIG" in each for each in signatures)
    if bad or None not in problems:
        found = "; ".join(dict.fromkeys(each for each in problems if each))
        raise _invalid(found or "it has no OpenPGP signature")


def _problem(status: Mapping[str, list[str]]) -> str | None:
    """Return what is wrong with a signature, from the status lines about it; None: it is good."""
    for word, problem in _BAD.items():
        if word in status:
            key = shown(status[word][0]) if status[word] else "?"
            return f"the signature by the key {key} {problem}"
    if "GOODSIG" not in status or "VALIDSIG" not in status:
        return "a signature cannot be checked"
    valid = status["VALIDSIG"]
    if len(valid) <= _HASH_FIELD:
        return "a signature cannot be checked"
    if valid[_HASH_FIELD] not in _STRONG_HASHES:
        return f"the signature by the key {shown(valid[0])} uses a hash that is no longer safe"
    return None


def _invalid(problem: str) -> TransferError:
    return TransferError(Reason.SIGNATURE_INVALID, f"the signature is not valid: {problem}")


MAX_LENGTH: Final = 2**20

_BEGIN, _END, _DASHES = "-----BEGIN PGP ", "-----END PGP ", "-----"
_PUBLIC_KEY: Final = "PUBLIC KEY BLOCK"
_CRC_INITIAL, _CRC_POLYNOMIAL, _CRC_BITS = 0xB704CE, 0x1864CFB, 24


def public_keys(text: str) -> bytes:
    """Return the binary keys of all the armored blocks in a text, one after the other.

    Raises:
        ValueError: The text has none, is damaged, or has something else, such as a private key.
    """
    if len(text) > MAX_LENGTH:
        raise ValueError(f"it has over {MAX_LENGTH} characters")
    keys = b"".join(_decoded(kind, lines) for kind, lines in _blocks(text))
    if not keys:
        raise ValueError("it is not an ASCII-armored OpenPGP public key")
    return keys


def crc24(data: bytes) -> int:
    """Return the checksum that ends an armored block (RFC 9580, 6.1)."""
    crc = _CRC_INITIAL
    for byte in data:
        crc = _CRC_TABLE[(crc >> 16) ^ byte] ^ (crc << 8) & 0xFFFFFF
    return crc


def _table_entry(byte: int) -> int:
    crc = byte << (_CRC_BITS - 8)
    for _ in range(8):
        crc <<= 1
        if crc >> _CRC_BITS:
            crc ^= _CRC_POLYNOMIAL
    return crc


_CRC_TABLE: Final = tuple(_table_entry(byte) for byte in range(256))


def _blocks(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the kind and the lines of each armored block; what is around them is comment."""
    kind, lines = None, list[str]()
    for raw in text.split("\n"):
        line = raw.strip()
        if line.startswith(_BEGIN) and kind is None:
            kind, lines = line.removeprefix(_BEGIN).removesuffix(_DASHES), []
        elif line.startswith(_END) and kind is not None:
            yield kind, lines
            kind = None
        elif kind is not None:
            lines.append(line)
    if kind is not None:
        raise ValueError("an armored block has no end")


def _decoded(kind: str, lines: list[str]) -> bytes:
    if kind != _PUBLIC_KEY:
        raise ValueError(f"it has a {kind.lower()[:40]} where public keys belong")
    if "" not in lines:
        raise ValueError("an armored block has no empty line after its headers")
    body = lines[lines.index("") + 1 :]
    # RFC 9580 makes the checksum optional; one that is there must be right.
    crc = body.pop() if body and body[-1].startswith("=") else None
    try:
        data = base64.b64decode("".join(body), validate=True)
        damaged = crc is not None and base64.b64decode(crc[1:], validate=True) != _crc_bytes(data)
    except ValueError:  # binascii.Error, and text that is not ASCII
        damaged, data = True, b""
    if damaged or not data:
        raise ValueError("an armored block is empty or damaged")
    return data


def _crc_bytes(data: bytes) -> bytes:
    return crc24(data).to_bytes(_CRC_BITS // 8)
