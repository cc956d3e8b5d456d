"""Where the bytes of an image come from, and what proves them."""

from typing import Annotated

from pydantic import Field, StringConstraints

from cloudimage.api.meta import ApiModel, SecretName, rules
from cloudimage.vocabulary.image import DiskFormat


def _hex(digits: int, what: str, alias: str | None = None) -> str | None:
    return Field(
        default=None,
        pattern=f"^[0-9a-fA-F]{{{digits}}}$",
        max_length=digits,
        alias=alias,
        description=f"{what}: {digits} hexadecimal digits.",
    )


Url = Annotated[str, StringConstraints(max_length=2048, pattern=r"^https?://[^\s/@]+(/\S*)?$")]
ObjectKey = Annotated[
    str, StringConstraints(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")
]


class KeyReference(ApiModel):
    """One key of a Secret or ConfigMap of the same namespace."""

    name: SecretName = Field(description="Name of the Secret or ConfigMap.")
    key: ObjectKey = Field(description="Key in it.")


class TextReference(
    ApiModel,
    json_schema_extra=rules(
        (
            "[has(self.secret), has(self.configMap)].exists_one(x, x)",
            "name either a secret or a configMap",
        )
    ),
):
    """A text kept in a Secret or a ConfigMap: exactly one of them."""

    secret: KeyReference | None = Field(default=None, description="A key of a Secret.")
    config_map: KeyReference | None = Field(default=None, description="A key of a ConfigMap.")


class ChecksumsFile(ApiModel):
    """A file of checksums that the publisher keeps, in any of the usual forms."""

    url: Url = Field(
        description="URL of the file, for instance SHA256SUMS, CHECKSUM or DIGESTS; fetched with "
        "the same credentials as the image where it is on the same server."
    )
    filename: Annotated[str, StringConstraints(min_length=1, max_length=255)] | None = Field(
        default=None,
        description="The image's name in it, exactly; the last part of the source's URL when left "
        "out.",
    )


class Signature(ApiModel):
    """An OpenPGP signature that must be good, and whom to believe; no key server is asked."""

    url: Url | None = Field(
        default=None,
        description="URL of a detached signature. Left out: the file of checksums is clearsigned.",
    )
    keyring: TextReference = Field(description="The public keys that count, ASCII-armored.")


_WAYS = (
    "[has(self.md5), has(self.sha1), has(self.sha256), has(self.sha512), has(self.blake2b), "
    "has(self.from)]"
)
_ONE_WAY = (
    f"{_WAYS}.exists_one(x, x) || (has(self.signature) && !{_WAYS}.exists(x, x))",
    "give the checksum by exactly one algorithm, or by from, or only a signature",
)
_CLEARSIGNED = (
    "!has(self.signature) || has(self.signature.url) || has(self.from)",
    "a signature without a url is one inside the file of checksums: set from, or signature.url",
)


class Checksum(
    ApiModel,
    json_schema_extra=rules(_ONE_WAY, _CLEARSIGNED),
):
    """What the downloaded file must hash to, before any conversion."""

    md5: str | None = _hex(32, "MD5. Weak: only against accidents, not against attackers")
    sha1: str | None = _hex(40, "SHA-1. Weak: only against accidents, not against attackers")
    sha256: str | None = _hex(64, "SHA-256")
    sha512: str | None = _hex(128, "SHA-512")
    # Camel case would make it blake2B.
    blake2b: str | None = _hex(128, "BLAKE2b with 512 bits, as b2sum prints it", alias="blake2b")
    from_: ChecksumsFile | None = Field(
        default=None,
        alias="from",
        description="Take it from a file of checksums that the publisher keeps; of several "
        "algorithms in it the strongest counts.",
    )
    signature: Signature | None = Field(
        default=None,
        description="OpenPGP signature over the file of from, else over the image file itself.",
    )


class HttpAuth(ApiModel):
    """What the source's server wants to see."""

    secret_name: SecretName = Field(
        description="Secret in the same namespace with the keys username and password, or token "
        "(sent as a bearer token); further keys that begin with header. are sent as headers, for "
        "instance header.X-API-Key. They are sent to the servers of url and mirrors only, not to "
        "one that these redirect to."
    )


class HttpSource(ApiModel):
    """A file behind a URL."""

    url: Url = Field(
        description="http:// or https:// URL of the image file, without a user and password, "
        "which everybody who may read this object would see. Give a checksum with it.",
    )
    mirrors: Annotated[tuple[Url, ...], Field(max_length=8)] | None = Field(
        default=None,
        description="URLs of the same file, tried in this order when the first cannot be had.",
    )
    checksum: Checksum | None = Field(
        default=None, description="The file is refused unless it hashes to this."
    )
    auth: HttpAuth | None = Field(
        default=None, description="What the source's server wants to see."
    )
    ca_certificate: TextReference | None = Field(
        default=None,
        description="PEM certificates that the server's TLS is verified with, instead of the "
        "public ones.",
    )
    format: DiskFormat | None = Field(
        default=None,
        description="Disk format of the file. Normally left out: it is found from the content, "
        "never from the name. A file of another format than declared here is refused. Needed only "
        "for a raw image with neither a partition table nor a known file system.",
    )


class Source(
    ApiModel,
    json_schema_extra=rules(
        ("[has(self.http)].exists_one(x, x)", "set exactly one source, for instance http")
    ),
):
    """Where the bytes come from: exactly one member."""

    http: HttpSource | None = Field(default=None, description="A file behind a URL.")
