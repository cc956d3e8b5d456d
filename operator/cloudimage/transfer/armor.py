"""OpenPGP's ASCII armor (RFC 9580, 6) for keyrings; pure, so that no gpg is needed to read one."""

import base64
from collections.abc import Iterator
from typing import Final

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
        raise ValueError("it is no ASCII-armored OpenPGP public key")
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
