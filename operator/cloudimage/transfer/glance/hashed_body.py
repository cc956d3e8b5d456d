"""The body of an upload: sent, counted, hashed, and compared with Glance's hash."""

import hashlib
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from cloudimage.failpoints import Point, failpoint
from cloudimage.sizes import exact_text
from cloudimage.transfer.contract import Reason, TransferError
from cloudimage.transfer.image.conversion import Chunks, Payload
from cloudimage.transfer.progress import Meter


class HashedBody:
    """The body of a request: the payload's bytes, counted and hashed as they are sent, once.

    Args:
        payload: The bytes.
        meter: Told how many were sent.
        name: Of the image.

    Attributes:
        sent: Bytes so far.
    """

    def __init__(self, payload: Payload, meter: Meter, name: str) -> None:
        self._payload = payload
        self._meter = meter
        self._name = name
        self._used = False
        self._hash = hashlib.sha512() if payload.sha512 is None else None
        self.sent = 0

    def __len__(self) -> int:
        return self._payload.size

    @property
    def sha512(self) -> str:
        """The hash of what was sent."""
        if self._payload.sha512 is not None:
            return self._payload.sha512()
        assert self._hash is not None  # noqa: S101 - one of both computes it
        return self._hash.hexdigest()

    @property
    def complete(self) -> bool:
        """Whether all bytes were sent."""
        return self._used and self.sent == self._payload.size

    def __iter__(self) -> Iterator[bytes]:
        if self._used:
            # The libraries below repeat a request after a redirect.
            raise TransferError(
                Reason.UPLOAD_FAILED,
                "Glance asks for the image a second time instead of accepting it",
            )
        self._used = True
        with closing(self._payload.open()) as chunks:
            for chunk in chunks:
                if self._hash is not None:
                    self._hash.update(chunk)
                yield chunk
                self.sent += len(chunk)
                self._meter.count(self.sent)
                failpoint(Point.SENDING, self._name)


def compare(stored: dict[str, Any], payload: Payload, sha512: str) -> None:
    """Compare what Glance says of its bytes with what they must be.

    A Glance that hashes by another algorithm than SHA-512 says so only now, so that the bytes are
    read again for it: from the scratch, or from the source if they came straight.

    Args:
        stored: What Glance shows of the image.
        payload: What its bytes must be.
        sha512: Their hash, as hexadecimal digits.

    Raises:
        TransferError: ``UploadMismatch``, or ``UploadFailed`` for a hash that is not known here.
    """
    algorithm, theirs = stored["os_hash_algo"], stored["os_hash_value"]
    ours = sha512 if algorithm == "sha512" else hash_of(payload.open(), algorithm)
    if stored["size"] != payload.size or theirs != ours:
        raise TransferError(
            Reason.UPLOAD_MISMATCH,
            f"Glance has {exact_text(stored['size'])} with {algorithm} {theirs}, but "
            f"{exact_text(payload.size)} with {ours} were sent",
        )


def hash_of(chunks: Chunks, algorithm: str) -> str:
    """Return the hash of a payload's bytes, as hexadecimal digits.

    Raises:
        TransferError: ``UploadFailed`` for an algorithm that is not known here.
    """
    try:
        found = hashlib.new(algorithm, usedforsecurity=False)
    except ValueError as error:
        raise TransferError(
            Reason.UPLOAD_FAILED,
            f"Glance hashes with {algorithm}, which the operator does not support",
        ) from error
    with closing(chunks):
        for chunk in chunks:
            found.update(chunk)
    return found.hexdigest()
