"""What a spec's source meant when it was looked up."""

from typing import Annotated

from pydantic import Field

from cloudimage.api.meta import ApiModel


class ResolvedSource(ApiModel):
    """What the spec's source meant when it was last looked up."""

    selector: str = Field(
        description="Digest of the part of the spec that was looked up; another one is looked up "
        "again."
    )
    version: str = Field(
        description="What was found; for a Glance source, the image's id. It decides whether a new "
        "image is made."
    )
    checksum: str | None = Field(
        default=None, description="What its bytes hash to, as sha256:..., if that was known."
    )
    location: str | None = Field(
        default=None, description="Where it is, if the spec does not say it."
    )
    values: Annotated[dict[str, str], Field(max_length=32)] = Field(
        default={}, description="What the variables of the spec's templates stand for."
    )
    initial: bool = Field(
        default=False,
        description="The image was made from it before the source was followed, so that it is no "
        "new version.",
    )
