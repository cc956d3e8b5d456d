"""spec.source.upload: a file that a person uploads."""

from pydantic import Field

from cloudimage.api.meta import ApiModel
from cloudimage.api.sources.checksum import Sha256


class UploadSource(ApiModel):
    """A file that a person uploads with ``kubectl cloudimage upload``."""

    sha256: Sha256 | None = Field(
        default=None,
        description="SHA-256 of the file, before it is unpacked or converted; any other file is "
        "refused. A change makes a new image, once that file was uploaded. Without it, whatever is "
        "uploaded first is taken.",
    )
