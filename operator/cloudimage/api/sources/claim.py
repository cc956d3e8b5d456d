"""spec.source.persistentVolumeClaim: a file in a volume of the namespace."""

from typing import Annotated, Final

from pydantic import Field, StringConstraints

from cloudimage.api.meta import ApiModel, Like
from cloudimage.api.sources.checksum import Sha256
from cloudimage.vocabulary.image import DiskFormat

_PART: Final = r"([^/.\x00-\x1f][^/\x00-\x1f]*|\.[^/.\x00-\x1f][^/\x00-\x1f]*|\.\.[^/\x00-\x1f]+)"
"""Of a path, neither . nor ..; RE2 has no way to say that shorter."""

RelativePath = Annotated[
    str,
    StringConstraints(min_length=1, max_length=1024),
    Like(f"{_PART}(/{_PART})*", "must be a relative path, without . or .. or empty parts"),
]


class PersistentVolumeClaimSource(ApiModel):
    """A file in a volume of the namespace, which a Job mounts read-only."""

    claim_name: Annotated[str, StringConstraints(min_length=1, max_length=253)] = Field(
        description="PersistentVolumeClaim of this namespace, with volumeMode Filesystem."
    )
    path: RelativePath = Field(
        description="The file's path in the volume, without a symbolic link on the way. User or "
        "group 65532, or everybody, must be allowed to read it."
    )
    sha256: Sha256 | None = Field(
        default=None,
        description="SHA-256 of the file; any other is refused. With it the file alone decides, "
        "wherever it is, whether a new image is made.",
    )
    format: DiskFormat | None = Field(
        default=None,
        description="Disk format of the file. Normally omitted: the format is detected from the "
        "content. If set, a file in any other format is refused. Needed only for a raw image with "
        "neither a partition table nor a known file system.",
    )
    trigger: Annotated[str, StringConstraints(max_length=253)] | None = Field(
        default=None,
        description="Any text; another one has the file read again, for a new image. That the file "
        "changes is not noticed otherwise. With sha256 it has no effect.",
    )
