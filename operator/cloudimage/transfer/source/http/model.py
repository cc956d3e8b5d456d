"""A file behind HTTP or HTTPS URLs, as a transfer's request has it."""

from collections.abc import Mapping
from typing import Final, Literal, Self

from pydantic import Field

from cloudimage.transfer.contract import Model, Source, Texts, text_of
from cloudimage.transfer.source.http.index.model import Index

AUTH: Final = "auth"
CA: Final = "ca"
KEYRING: Final = "keyring"
STREAM_KEYRING: Final = "stream-keyring"
"""Names of the references that a source of this kind may have."""

_HEADER_PREFIX: Final = "header."


class Signature(Model):
    """An OpenPGP signature and whom to believe.

    Attributes:
        url: Of a detached signature; None: what it covers is clearsigned.
        keyring: The public keys that count, ASCII-armored.
    """

    url: str | None = None
    keyring: str = ""


class SumsFile(Model):
    """A checksum file that the publisher keeps beside the image.

    Attributes:
        filename: The image's name in it; None: the last part of the source's URL.
        signature: Over the checksum file.
    """

    url: str
    filename: str | None = None
    signature: Signature | None = None


class HttpAuth(Model):
    """What a server wants to see; sent to the origin of the source's URLs only, hence no repr."""

    username: str | None = Field(default=None, repr=False)
    password: str | None = Field(default=None, repr=False)
    bearer: str | None = Field(default=None, repr=False)
    headers: dict[str, str] = Field(default_factory=dict, repr=False)

    @classmethod
    def from_secret(cls, secret: Mapping[str, str]) -> Self:
        """Return what the keys of a Secret say."""
        headers = {
            key.removeprefix(_HEADER_PREFIX): value.strip()
            for key, value in secret.items()
            if key.startswith(_HEADER_PREFIX)
        }
        # `kubectl create secret --from-file` keeps the last newline, which no header may have.
        username, password, token = (
            secret[key].rstrip("\r\n") if key in secret else None
            for key in ("username", "password", "token")
        )
        return cls(username=username, password=password, bearer=token, headers=headers)


class HttpSource(Source):
    """A file behind HTTP or HTTPS URLs.

    Attributes:
        url: Where it is; with an index, a template over what is found there, or empty: where the
            index has it. Those of ``sums`` are then also templates.
        index: Where it is found which build is the newest.
        mirrors: Where the same file is too, in the order to try them.
        sums: Where the checksum is written instead.
        signature: Over the fetched file itself.
        auth: What the servers of the URLs want to see.
        ca_certificate: PEM text that their TLS is verified with.
        trusted: URLs of the servers that get the credentials, where a list has named the URL of the
            file: what a list says must not choose them. Empty: those of the URLs here.
    """

    type: Literal["http"] = "http"
    url: str
    index: Index | None = None
    mirrors: tuple[str, ...] = ()
    sums: SumsFile | None = None
    signature: Signature | None = None
    auth: HttpAuth | None = Field(default=None, repr=False)
    ca_certificate: str | None = None
    trusted: tuple[str, ...] = ()

    @property
    def servers(self) -> tuple[str, ...]:
        """URLs of the servers that get the credentials: those of the file, and of its index."""
        if self.trusted:
            return self.trusted
        listed = self.index.urls if self.index else ()
        return tuple(url for url in (self.url, *listed, *self.mirrors) if url)

    @property
    def is_list_signed(self) -> bool:
        """Whether the checksum file in which builds are found is the one that is signed."""
        listed = self.index.checksums if self.index else None
        return self.sums is not None and self.sums.signature is not None and self.sums.url == listed

    def with_texts(self, texts: Texts) -> Self:
        """Return the source with its credentials, certificate and keyring.

        Raises:
            TransferError: ``InvalidCredentials`` if a text is missing.
        """
        auth = HttpAuth.from_secret(texts[AUTH]) if AUTH in texts else None
        certificate = text_of(texts, CA) if CA in texts else None
        signed = self.signature or (self.sums and self.sums.signature)
        streamed = self.index and self.index.stream
        stream_keyring = text_of(texts, STREAM_KEYRING) if streamed and streamed.signed else ""
        keyring = text_of(texts, KEYRING) if signed else ""
        return self._with(auth, certificate, keyring, stream_keyring)

    def without_texts(self) -> Self:
        """Return the source without them."""
        return self._with(None, None, "", "")

    def _with(
        self, auth: HttpAuth | None, certificate: str | None, keyring: str, stream_keyring: str
    ) -> Self:
        sums = self.sums
        if sums is not None:
            signature = _signed_by(sums.signature, keyring)
            sums = sums.model_copy(update={"signature": signature})
        return self.model_copy(
            update={
                "auth": auth,
                "ca_certificate": certificate,
                "signature": _signed_by(self.signature, keyring),
                "sums": sums,
                "index": self.index and self.index.with_keyring(stream_keyring),
            }
        )


def _signed_by(signature: Signature | None, keyring: str) -> Signature | None:
    return signature and signature.model_copy(update={"keyring": keyring})
