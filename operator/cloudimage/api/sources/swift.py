"""spec.source.swift: an object of a Swift container."""

from typing import Annotated

from pydantic import Field, StringConstraints

from cloudimage.api.meta import ApiModel, Like
from cloudimage.api.references import CloudCredentialsRef
from cloudimage.api.sources.digests import Digest
from cloudimage.api.sources.object_names import ObjectName
from cloudimage.vocabulary.image import DiskFormat

_Container = Annotated[
    str,
    StringConstraints(min_length=1, max_length=256),
    Like(
        r"[^/.\x00-\x1f\x7f][^/\x00-\x1f\x7f]*|\.[^/.\x00-\x1f\x7f][^/\x00-\x1f\x7f]*"
        r"|\.\.[^/\x00-\x1f\x7f]+",
        "must be a container's name without slashes and control characters, and neither . nor ..",
    ),
]


class SwiftSource(ApiModel):
    """An object of a Swift container."""

    cloud_credentials_ref: CloudCredentialsRef | None = Field(
        default=None,
        description="The cloud that has the object, in the project of these credentials. If "
        "omitted, spec.cloudCredentialsRef. The Secret is needed only while an image is made.",
    )
    container: _Container = Field(description="The container's name.")
    object: ObjectName = Field(
        description="The object's name; of an object in segments, static or dynamic, that of its "
        "manifest."
    )
    checksum: Digest | None = Field(
        default=None,
        description="The object is refused unless it matches this. If omitted, the MD5 that Swift "
        "has of an object that is not in segments.",
    )
    format: DiskFormat | None = Field(
        default=None,
        description="Disk format of the object. Normally omitted: the format is detected from the "
        "content. If set, an object in any other format is refused. Needed only for a raw image "
        "with neither a partition table nor a known file system.",
    )
