"""spec.source.http.index: where a publisher lists its builds."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from cloudimage.api.meta import ApiModel, rules
from cloudimage.api.references import TextReference, Url

Pattern = Annotated[str, StringConstraints(min_length=1, max_length=512)]
_Word = Annotated[str, StringConstraints(min_length=1, max_length=255)]


class SimpleStreams(
    ApiModel,
    json_schema_extra=rules(
        ("has(self.product) != has(self.alias)", "give either product or alias"),
    ),
):
    """An item of a Simple Streams document, as Ubuntu, MAAS and LXD publish them."""

    url: Url = Field(
        description="URL of the index or of a list of products, for example "
        "https://cloud-images.ubuntu.com/releases/streams/v1/index.sjson."
    )
    product: _Word | None = Field(
        default=None, description="The product, for example com.ubuntu.cloud:server:24.04:amd64."
    )
    alias: _Word | None = Field(
        default=None, description="One of the product's aliases, for example 24.04 or noble."
    )
    arch: _Word | None = Field(default=None, description="The product's architecture.")
    item: _Word = Field(description="The item's name or its ftype, for example disk1.img.")
    keyring: TextReference | None = Field(
        default=None,
        description="The trusted public keys, ASCII-armored; the documents must then be "
        "clearsigned (.sjson).",
    )


_LISTS = ", ".join(
    f"has(self.{name})" for name in ("checksums", "listing", "releases", "simpleStreams")
)
_ONE_LIST = (
    f"[{_LISTS}].exists_one(x, x)",
    "give exactly one of checksums, listing, releases and simpleStreams",
)
_PATTERN = (
    "has(self.pattern) == (has(self.checksums) || has(self.listing)) || has(self.releases)",
    "checksums and listing need a pattern of names; simpleStreams has none",
)
_FOLDER = (
    "!has(self.folder) || has(self.listing) || has(self.releases)",
    "folder is for a listing or releases",
)


class HttpIndex(ApiModel, json_schema_extra=rules(_ONE_LIST, _PATTERN, _FOLDER)):
    """Where the publisher lists its builds; the newest is taken."""

    checksums: Url | None = Field(
        default=None, description="URL of a checksum file that has the builds' names."
    )
    listing: Url | None = Field(
        default=None,
        description="URL of a folder whose index page lists the builds, or dated folders of them.",
    )
    releases: Url | None = Field(
        default=None,
        description="URL of a list of releases, for example "
        "https://api.github.com/repos/OWNER/NAME/releases. Prereleases are left out.",
    )
    simple_streams: SimpleStreams | None = Field(
        default=None, description="An item of a Simple Streams document."
    )
    folder: Pattern | None = Field(
        default=None,
        description="Pattern of the folders in the listing, or of the releases' tags. Folders in "
        r"folders have a pattern for each level, for example (?P<version>\d+)/Cloud/x86_64/images; "
        "$(folder) is then the whole path.",
    )
    pattern: Pattern | None = Field(
        default=None,
        description="Pattern that a file's whole name must match, in RE2's syntax. Its group "
        "version is what builds are ordered by, for example "
        r"debian-12-generic-amd64-(?P<version>\d+-\d+)\.qcow2; without it, the whole name is. The "
        "group build tells builds of one version apart, and becomes the version's end.",
    )
    order: Literal["Version", "Numeric", "Lexical"] = Field(
        default="Version",
        description="How versions compare. Version: runs of digits as numbers, 9.10 after 9.9. "
        "Numeric: as one number. Lexical: by characters.",
    )
