"""spec.source.http: a file behind a URL, and how it is verified."""

from typing import Annotated

from pydantic import Field, StringConstraints

from cloudimage.api.meta import ApiModel, SecretName, rules
from cloudimage.api.references import TextReference, Url
from cloudimage.api.sources.digests import Digests
from cloudimage.api.sources.http_index import HttpIndex
from cloudimage.vocabulary.image import DiskFormat


class ChecksumsFile(ApiModel):
    """The publisher's checksum file, in any of the usual formats."""

    url: Url = Field(
        description="URL of the file, for example SHA256SUMS, CHECKSUM or DIGESTS; fetched with "
        "the image's credentials if it is on the same server."
    )
    filename: Annotated[str, StringConstraints(min_length=1, max_length=255)] | None = Field(
        default=None,
        description="The source file's exact name in the checksum file. Defaults to the last part "
        "of the source's URL; in an unsigned file of one name, whose URL is the source's with a "
        "suffix such as .sha256, it may be any.",
    )


class Signature(ApiModel):
    """An OpenPGP signature that must be valid, and the keys to trust; no key server is used."""

    url: Url | None = Field(
        default=None,
        description="URL of a detached signature. If omitted, the checksum file must be "
        "clearsigned.",
    )
    keyring: TextReference = Field(description="The trusted public keys, ASCII-armored.")


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
    "a signature without a url is inside the checksum file: set from, or signature.url",
)


class Checksum(
    Digests,
    json_schema_extra=rules(_ONE_WAY, _CLEARSIGNED),
):
    """The expected checksum of the source file, before it is unpacked or converted."""

    from_: ChecksumsFile | None = Field(
        default=None,
        alias="from",
        description="Take the checksum from the publisher's checksum file; if it has several "
        "algorithms, the strongest is used.",
    )
    signature: Signature | None = Field(
        default=None,
        description="OpenPGP signature of the checksum file if from is set, otherwise of the "
        "source file itself.",
    )


class HttpAuth(ApiModel):
    """Credentials for the source's server."""

    secret_name: SecretName = Field(
        description="Secret in the same namespace with the keys username and password, or token "
        "(sent as a bearer token); keys that begin with header. are sent as headers, for example "
        "header.X-API-Key. They are sent only to the servers of url, index and mirrors, never to a "
        "server that these redirect to."
    )


_LOCATED = ("has(self.url) || has(self.index)", "give a url, or an index")
_IN_HOST = "matches('^[^/]*//[^/]*[$][(]')"
_BEHIND_HOST = "variables such as $(version) belong behind the host"
_URLS = {
    "url": "has(self.url)",
    "checksum.from.url": "has(self.checksum) && has(self.checksum.from)",
    "checksum.signature.url": "has(self.checksum) && has(self.checksum.signature) "
    "&& has(self.checksum.signature.url)",
}
_TEMPLATES = (
    *(
        (f"!has(self.index) || !({there}) || !self.{path}.{_IN_HOST}", _BEHIND_HOST)
        for path, there in _URLS.items()
    ),
    (
        f"!has(self.index) || !has(self.mirrors) || !self.mirrors.exists(x, x.{_IN_HOST})",
        _BEHIND_HOST,
    ),
)


class HttpSource(ApiModel, json_schema_extra=rules(_LOCATED, *_TEMPLATES)):
    """A file behind a URL."""

    url: Url | None = Field(
        default=None,
        description="http:// or https:// URL of the source file. Do not put a user or password "
        "into it: anyone who can read this object would see them. Give a checksum as well. With "
        "an index, a template over what is found there, as are the URLs of mirrors and checksum: "
        "$(version), $(name), $(folder), $(tag), and the pattern's other groups. It defaults to "
        "where the index has the file.",
    )
    index: HttpIndex | None = Field(
        default=None,
        description="Where the publisher lists its builds: the newest is taken, and followed if "
        "spec.follow says so.",
    )
    mirrors: Annotated[tuple[Url, ...], Field(max_length=8)] | None = Field(
        default=None,
        description="Further URLs of the same file, tried in this order if url fails.",
    )
    checksum: Checksum | None = Field(
        default=None, description="The file is refused unless it matches this."
    )
    auth: HttpAuth | None = Field(default=None, description="Credentials for the source's server.")
    ca_certificate: TextReference | None = Field(
        default=None,
        description="CA certificates (PEM) to verify the server's TLS certificate with, instead "
        "of the public ones.",
    )
    format: DiskFormat | None = Field(
        default=None,
        description="Disk format of the file. Normally omitted: the format is detected from the "
        "content, never from the name. If set, a file in any other format is refused. Needed only "
        "for a raw image with neither a partition table nor a known file system.",
    )
