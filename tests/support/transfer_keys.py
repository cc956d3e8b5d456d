"""OpenPGP keys and signatures for tests, made by gpg; the operator itself only verifies."""

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Signer:
    """A gpg of its own with one key.

    Attributes:
        home: Its folder, which must have a short path: the agent's socket is in it.
    """

    home: Path

    @classmethod
    def made(
        cls,
        home: Path,
        *,
        algorithm: str = "ed25519",
        expire: str = "never",
        options: tuple[str, ...] = (),
    ) -> "Signer":
        """Make a key that signs."""
        home.mkdir(mode=0o700)
        signer = cls(home)
        signer.gpg(*options, "--quick-gen-key", home.name, algorithm, "sign", expire)
        return signer

    def gpg(self, *words: str | Path, content: bytes | None = None) -> bytes:
        """Run gpg and return what it writes; it must succeed."""
        options = ["--batch", "--yes", "--quiet", "--no-tty", "--passphrase", ""]
        command = ["gpg", "--homedir", str(self.home), *options, *map(str, words)]
        done = subprocess.run(command, input=content, capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def public(self) -> str:
        """Return the public key, armored."""
        return self.gpg("--armor", "--export").decode()

    def private(self) -> str:
        """Return the private key, armored."""
        return self.gpg("--armor", "--export-secret-keys").decode()

    def detached(self, content: bytes, *options: str) -> bytes:
        """Return a detached signature."""
        return self.gpg(*options, "--detach-sign", content=content)

    def clearsigned(self, content: bytes, *options: str) -> bytes:
        """Return the text with its signature."""
        return self.gpg(*options, "--clearsign", content=content)

    def revoke(self) -> None:
        """Revoke the key by the certificate that gpg makes with it."""
        (certificate,) = (self.home / "openpgp-revocs.d").glob("*.rev")
        # It is made unusable by a colon, lest it is imported by mistake.
        text = certificate.read_text().replace(":-----BEGIN", "-----BEGIN")
        self.gpg("--import", content=text.encode())

    def stop(self) -> None:
        """End the agent that gpg started."""
        command = ["gpgconf", "--homedir", str(self.home), "--kill", "all"]
        subprocess.run(command, check=True, timeout=30)
