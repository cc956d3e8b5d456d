"""Checksums as programs of Windows write them."""

import codecs

import pytest

from cloudimage.transfer.contract import Checksum
from cloudimage.transfer.verify import checksum_files
from support.checksum_lists import (
    NAME,
    OTHER,
    SHA1,
    SHA256,
    SHA512,
    digest,
    refusal,
)

PATH = f"C:\\Users\\me\\My images\\{NAME}"
OTHERS = "C:\\other.img"
SPACED = " ".join(SHA256[place : place + 2] for place in range(0, 64, 2))
DONE = "CertUtil: -hashfile command completed successfully.\r\n"
COLUMNS = f"{'Algorithm':16}{'Hash':71}Path"
WINDOWS = {
    "certutil": f"SHA256 hash of {NAME}:\r\n{SHA256}\r\n{DONE}",
    "certutil of Windows 7": f"SHA256 hash of file {NAME}:\r\n{SPACED}\r\n{DONE}",
    "certutil of a path": f"SHA256 hash of {PATH}:\r\n{SHA256}\r\n{DONE}",
    "certutil of several": (
        f"SHA256 hash of other.img:\r\n{OTHER}\r\n{DONE}"
        f"SHA1 hash of {NAME}:\r\n{SHA1}\r\n{DONE}"
        f"SHA256 hash of {NAME}:\r\n{SHA256}\r\n{DONE}"
    ),
    "Get-FileHash": (
        f"\r\n{COLUMNS:200}\r\n{'---------':16}{'----':71}{'----':113}\r\n"
        f"{'SHA256':16}{OTHER.upper():71}{OTHERS:113}\r\n"
        f"{'SHA256':16}{SHA256.upper():71}{PATH:113}\r\n\r\n\r\n"
    ),
    "Get-FileHash | Format-List": (
        f"\r\n\r\nAlgorithm : SHA256\r\nHash      : {OTHER.upper()}\r\nPath      : {OTHERS}\r\n"
        f"\r\nAlgorithm : SHA256\r\nHash      : {SHA256.upper()}\r\nPath      : {PATH}\r\n\r\n\r\n"
    ),
    "Format-List of a narrow window": (
        f"\r\nAlgorithm : SHA256\r\nHash      : {SHA256[:50].upper()}\r\n"
        f"            {SHA256[50:].upper()}\r\nPath      : {PATH[:30]}\r\n"
        f"            {PATH[30:]}\r\n\r\n"
    ),
    "PowerShell on Linux": (
        f"\n{COLUMNS}\n{'---------':16}{'----':71}----\n"
        f"{'SHA256':16}{SHA256.upper():71}/home/me/{NAME}\n\n"
    ),
    "sha256sum": f"{SHA256} *{NAME}\r\n",
}


@pytest.mark.parametrize("text", WINDOWS.values(), ids=WINDOWS.keys())
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
def test_what_windows_writes(text: str, encoding: str) -> None:
    """PowerShell's ``>`` writes UTF-16 with a byte order mark."""
    content = codecs.BOM_UTF16_BE if encoding == "utf-16-be" else b""
    content += text.encode(encoding)
    found = checksum_files.choose(content, NAME, "SHA256SUMS.txt")
    assert found == Checksum(algorithm="sha256", value=SHA256)


@pytest.mark.parametrize(
    "text",
    [
        # Cut by a narrow window.
        f"{COLUMNS}\n{'SHA256':16}{SHA256.upper():71}C:\\Users\\me\\disk-1...\n",
        f"{COLUMNS}\n{'SHA512':16}{SHA512.upper()[:68]}... C:\\{NAME}\n",
        # Of two folders.
        f"{COLUMNS}\n{'SHA256':16}{SHA256:71}C:\\a\\{NAME}\n{'SHA256':16}{OTHER:71}C:\\b\\{NAME}\n",
        # In another language: which word is the name is unknown.
        f"SHA256-Hash von {NAME}:\r\n{SHA256}\r\nCertUtil: -hashfile-Befehl wurde ausgeführt.\r\n",
        f"SHA256 hash of {NAME}:\n{SHA1}\n{DONE}",
        f"SHA384 hash of {NAME}:\n{digest('sha384')}\n{DONE}",
        f"SHA256 hash of {NAME}:\n{DONE}{SHA256}\n",
        f"Algorithm : SHA256\nHash      : {SHA256}\nPath      : \n",
    ],
)
def test_what_windows_writes_and_nobody_can_read(text: str) -> None:
    refusal(text)


@pytest.mark.parametrize("content", [b"\xff\xfeabc", b"\xfe\xff\xd8\x00\x00a"])
def test_what_only_begins_as_utf16(content: bytes) -> None:
    assert "save it as UTF-8" in refusal(content)
