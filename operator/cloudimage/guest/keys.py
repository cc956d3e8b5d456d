"""A key pair of SSH for one server of a boot test."""

import base64
import hashlib
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """An ed25519 key.

    Attributes:
        public: The line for ``authorized_keys``.
        private: The key in OpenSSH's format, without a passphrase.
        fingerprint: As OpenSSH shows it, ``SHA256:...``.
    """

    public: str
    private: str = field(repr=False)
    fingerprint: str


def throw_away_key(comment: str) -> KeyPair:
    """Return a new key, which is nowhere but in memory."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    digest = hashlib.sha256(base64.b64decode(public.split()[1])).digest()
    return KeyPair(f"{public} {comment}", private.decode(), fingerprint(digest))


def fingerprint(digest: bytes) -> str:
    """Return the SHA-256 of a public key in the form in which OpenSSH shows it."""
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")
