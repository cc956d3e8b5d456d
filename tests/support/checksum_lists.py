"""A file and its checksums, for the tests of publishers' lists."""

import hashlib

import pytest

from cloudimage.transfer.contract import Checksum, Reason, TransferError
from cloudimage.transfer.verify import checksum_files

NAME = "disk-1.2.x86_64.qcow2"


def digest(algorithm: str, of: str = NAME) -> str:
    return hashlib.new(algorithm, of.encode(), usedforsecurity=False).hexdigest()


MD5, SHA1, SHA256, SHA512, BLAKE2B = map(digest, ("md5", "sha1", "sha256", "sha512", "blake2b"))
OTHER = digest("sha256", "other")


def choose(text: str, filename: str = NAME, sums_name: str = "CHECKSUM") -> Checksum:
    return checksum_files.choose(text.encode(), filename, sums_name)


def refusal(text: str | bytes, filename: str = NAME, sums_name: str = "CHECKSUM") -> str:
    content = text.encode() if isinstance(text, str) else text
    with pytest.raises(TransferError) as caught:
        checksum_files.choose(content, filename, sums_name)
    assert caught.value.reason is Reason.SUMS_FILE_INVALID
    return caught.value.message
