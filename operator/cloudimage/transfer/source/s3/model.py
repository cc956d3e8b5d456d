"""An object of a bucket, as a transfer's request has it."""

from collections.abc import Mapping
from typing import Final, Literal, Self

from pydantic import Field

from cloudimage.transfer.contract import Model, Reason, Source, Texts, TransferError, text_of

KEYS: Final = "s3-credentials"
CA: Final = "s3-ca"
"""Names of the references that a source of this kind may have."""

ACCESS_KEY_ID: Final = "AWS_ACCESS_KEY_ID"
SECRET_ACCESS_KEY: Final = "AWS_SECRET_ACCESS_KEY"  # noqa: S105  # the name of a key
SESSION_TOKEN: Final = "AWS_SESSION_TOKEN"  # noqa: S105  # likewise


class AccessKey(Model):
    """What requests are signed with.

    Attributes:
        id: Of the key.
        secret: The key itself.
        session_token: What goes along with a temporary one.
    """

    id: str = Field(repr=False)
    secret: str = Field(repr=False)
    session_token: str | None = Field(default=None, repr=False)

    @classmethod
    def from_secret(cls, secret: Mapping[str, str]) -> Self:
        """Return what the keys of a Secret say.

        Raises:
            TransferError: ``InvalidCredentials`` if one is missing, or has a character that no
                header may have.
        """
        # `kubectl create secret --from-file` keeps the last newline.
        texts = {name: value.strip() for name, value in secret.items()}
        for name in (ACCESS_KEY_ID, SECRET_ACCESS_KEY):
            if not texts.get(name):
                raise TransferError(
                    Reason.INVALID_CREDENTIALS, f"the Secret of the bucket has no key {name}"
                )
        for name in (ACCESS_KEY_ID, SECRET_ACCESS_KEY, SESSION_TOKEN):
            value = texts.get(name, "")
            if not (value.isascii() and all(map(str.isprintable, value))):
                raise TransferError(
                    Reason.INVALID_CREDENTIALS,
                    f"{name} in the Secret of the bucket is not printable ASCII text",
                )
        token = texts.get(SESSION_TOKEN) or None
        return cls(id=texts[ACCESS_KEY_ID], secret=texts[SECRET_ACCESS_KEY], session_token=token)


class S3Source(Source):
    """An object of a bucket.

    Attributes:
        endpoint: URL of the store; None: Amazon's of the region.
        path_style: Whether the bucket is in the URL's path, and not in its host.
        version_id: Of the object; None: the current one.
        signed: Whether the spec names a Secret.
        keys: What its Secret says; without any where it is missing.
        ca_certificate: PEM text that the store's TLS is verified with.
    """

    type: Literal["s3"] = "s3"
    endpoint: str | None = None
    region: str = "us-east-1"
    path_style: bool = True
    bucket: str
    key: str
    version_id: str | None = None
    signed: bool = False
    keys: dict[str, str] = Field(default_factory=dict, repr=False)
    ca_certificate: str | None = None

    def with_texts(self, texts: Texts) -> Self:
        """Return the source with its credentials, which are first checked in a transfer.

        Raises:
            TransferError: ``InvalidCredentials`` if the certificate is missing.
        """
        secret = texts.get(KEYS, {})
        names = (ACCESS_KEY_ID, SECRET_ACCESS_KEY, SESSION_TOKEN)
        keys = {name: secret[name] for name in names if name in secret}
        return self._with(keys, text_of(texts, CA) if CA in texts else None)

    def without_texts(self) -> Self:
        """Return the source without them."""
        return self._with({}, None)

    def access_key(self) -> AccessKey | None:
        """Return what to sign with; None: nothing is to be signed.

        Raises:
            TransferError: ``InvalidCredentials``.
        """
        return AccessKey.from_secret(self.keys) if self.signed else None

    def _with(self, keys: dict[str, str], certificate: str | None) -> Self:
        return self.model_copy(update={"keys": keys, "ca_certificate": certificate})
