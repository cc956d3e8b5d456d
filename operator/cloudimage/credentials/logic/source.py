"""What the Secrets and ConfigMaps of a source say."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cloudimage.transfer import contract

_HEADER_PREFIX = "header."


@dataclass(frozen=True)
class SourceTexts:
    """What the source's references lead to; it holds secrets, hence no repr.

    Attributes:
        auth: What the server wants to see.
        ca_certificate: PEM text.
        keyring: ASCII-armored public keys.
    """

    auth: contract.HttpAuth | None = field(default=None, repr=False)
    ca_certificate: str | None = field(default=None, repr=False)
    keyring: str | None = field(default=None, repr=False)


def http_auth(secret: Mapping[str, str]) -> contract.HttpAuth:
    """Return what the source's server wants to see, out of the keys of its Secret."""
    headers = {
        key.removeprefix(_HEADER_PREFIX): value.strip()
        for key, value in secret.items()
        if key.startswith(_HEADER_PREFIX)
    }
    # `kubectl create secret --from-file` keeps the file's last newline, which no header may have.
    username, password, token = (
        secret[key].rstrip("\r\n") if key in secret else None
        for key in ("username", "password", "token")
    )
    return contract.HttpAuth(username=username, password=password, bearer=token, headers=headers)
