"""Checksums that are written in the spec itself."""

from typing import Annotated, Final

from pydantic import Field, StringConstraints

from cloudimage.api.meta import ApiModel, Like, rules


def _digits(number: int) -> Like:
    return Like(f"[0-9a-fA-F]{{{number}}}", f"must be {number} hexadecimal digits")


_Hex32 = Annotated[str, StringConstraints(max_length=32), _digits(32)]
_Hex40 = Annotated[str, StringConstraints(max_length=40), _digits(40)]
_Hex64 = Annotated[str, StringConstraints(max_length=64), _digits(64)]
_Hex128 = Annotated[str, StringConstraints(max_length=128), _digits(128)]

ALGORITHMS: Final = ("md5", "sha1", "sha256", "sha512", "blake2b")


class Digests(ApiModel):
    """The algorithms of which a checksum gives one."""

    md5: _Hex32 | None = Field(
        default=None, description="MD5. Weak: only against accidents, not against attackers."
    )
    sha1: _Hex40 | None = Field(
        default=None, description="SHA-1. Weak: only against accidents, not against attackers."
    )
    sha256: _Hex64 | None = Field(default=None, description="SHA-256.")
    sha512: _Hex128 | None = Field(default=None, description="SHA-512.")
    # Camel case would make it blake2B.
    blake2b: _Hex128 | None = Field(
        default=None,
        alias="blake2b",
        description="BLAKE2b with 512 bits, as b2sum prints it.",
    )


class Digest(
    Digests,
    json_schema_extra=rules(
        (
            f"[{', '.join(f'has(self.{name})' for name in ALGORITHMS)}].exists_one(x, x)",
            "give the checksum by exactly one algorithm",
        )
    ),
):
    """The expected checksum of the source file, before it is unpacked or converted."""
