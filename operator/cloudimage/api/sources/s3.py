"""spec.source.s3: an object of a bucket."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from cloudimage.api.meta import ApiModel, Like, SecretName
from cloudimage.api.references import TextReference
from cloudimage.api.sources.digests import Digest
from cloudimage.api.sources.object_names import ObjectName
from cloudimage.vocabulary.image import DiskFormat

_Endpoint = Annotated[
    str,
    StringConstraints(max_length=1024),
    Like(
        r"https?://[^\s/@?#]+(/[^\s?#]*)?",
        "must be a URL that begins with http:// or https://, has a host, and has neither blanks, "
        "nor a user and password, nor a query",
    ),
]
_Region = Annotated[
    str,
    StringConstraints(max_length=64),
    Like("[A-Za-z0-9_-]+", "must consist of letters, digits, hyphens and underscores"),
]
_Bucket = Annotated[
    str,
    StringConstraints(max_length=255),
    Like(
        "[A-Za-z0-9][A-Za-z0-9._-]+[A-Za-z0-9]",
        "must be a bucket's name: letters, digits, hyphens, dots and underscores",
    ),
]
_VersionId = Annotated[
    str,
    StringConstraints(max_length=1024),
    Like("[!-~]+", "must be a version's id as the bucket has it, without blanks"),
]


class S3Credentials(ApiModel):
    """The access key that may read the object."""

    secret_name: SecretName = Field(
        description="Secret in the same namespace with the keys AWS_ACCESS_KEY_ID and "
        "AWS_SECRET_ACCESS_KEY, and AWS_SESSION_TOKEN where the access key is a temporary one."
    )


class S3Source(ApiModel):
    """An object of a bucket, in Amazon S3 or any store that speaks its protocol."""

    endpoint: _Endpoint | None = Field(
        default=None,
        description="URL of the store, with its port and a path in front of the buckets if it has "
        "one. If omitted, Amazon's of the region.",
    )
    region: _Region | None = Field(
        default=None,
        description="Region that requests are signed for. Defaults to us-east-1, which stores "
        "outside of Amazon usually take.",
    )
    addressing_style: Literal["Path", "VirtualHosted"] | None = Field(
        default=None,
        description="Whether the bucket is in the URL's path or the first part of its host. "
        "Defaults to Path with an endpoint, and to VirtualHosted without one.",
    )
    bucket: _Bucket = Field(description="The bucket's name.")
    key: ObjectName = Field(description="The object's key in the bucket.")
    version_id: _VersionId | None = Field(
        default=None,
        alias="versionID",
        description="The object's version, in a bucket that keeps versions. If omitted, the one "
        "that is current when the image is made; status.source.version says which that was.",
    )
    credentials_ref: S3Credentials | None = Field(
        default=None,
        description="Credentials for the bucket. If omitted, requests are not signed, which a "
        "public bucket allows.",
    )
    ca_certificate: TextReference | None = Field(
        default=None,
        description="CA certificates (PEM) to verify the store's TLS certificate with, instead of "
        "the public ones.",
    )
    checksum: Digest | None = Field(
        default=None,
        description="The object is refused unless it matches this. If omitted, the checksum that "
        "the store has of the whole object, if it has one.",
    )
    format: DiskFormat | None = Field(
        default=None,
        description="Disk format of the object. Normally omitted: the format is detected from the "
        "content. If set, an object in any other format is refused. Needed only for a raw image "
        "with neither a partition table nor a known file system.",
    )
