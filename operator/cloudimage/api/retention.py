"""spec.retention: how earlier images age."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field, StringConstraints

from cloudimage.api.follow import Duration
from cloudimage.api.meta import ApiModel, Like

DEFAULT_NAME: Final = "{name} ({built:%Y-%m-%d})"
"""What SCS-0102 recommends and openstack-image-manager does: the date of the build beside."""

NAME_PART: Final = r"\{(?:name|version|built(?::(?:[^{}%]|%[YmdHMSyjGVu])+)?)\}"
"""One placeholder of a name's template; the letters are those of ``strftime`` that are digits."""

_VARYING: Final = r"\{(?:version|built(?::(?:[^{}%]|%[YmdHMSyjGVu])+)?)\}"

NameTemplate = Annotated[
    str,
    StringConstraints(max_length=255),
    Like(
        rf"(?:[^{{}}]|{NAME_PART})*{_VARYING}(?:[^{{}}]|{NAME_PART})*",
        "must be a name with {version} or {built:%Y-%m-%d}, so that no two are the same, and "
        "perhaps {name}; other placeholders, and %-letters but Y m d H M S y j G V u, are unknown",
    ),
]


class Then(StrEnum):
    """How an earlier image goes on once its time in the lists is over."""

    HIDDEN = "Hidden"
    COMMUNITY = "Community"


class Retention(ApiModel):
    """How earlier images age; every time counts from the moment at which one was replaced."""

    keep: int = Field(
        default=1,
        ge=0,
        le=100,
        description="How many earlier images to keep at least, besides those that are in use.",
    )
    rename: NameTemplate = Field(
        default=DEFAULT_NAME,
        description="What an image is called once it is replaced. {name} is its name until then, "
        "{version} the source's version, {built:%Y-%m-%d} the day when it was made.",
    )
    visible_for: Duration | None = Field(
        default=None,
        description="How long an earlier image stays as visible as it was, under its new name. "
        "Defaults to no time.",
    )
    then: Then = Field(
        default=Then.HIDDEN,
        description="Hidden: it is then hidden from lists (os_hidden). Community: a public image "
        "then gets the visibility community, and any other is hidden. Either can still be used "
        "by its id.",
    )
    deprecate_after: Duration | None = Field(
        default=None,
        description="When an earlier image gets the tag deprecated. Defaults to never.",
    )
    delete_unused_after: Duration | None = Field(
        default=None,
        description="When an earlier image that nothing uses is deleted, but for those of keep, "
        "and not before visibleFor is over. Defaults to as soon as that is so.",
    )
