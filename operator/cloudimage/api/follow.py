"""spec.follow: how an image keeps up with its source, and what the status says of it."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from cloudimage.api.meta import ApiModel, Like, Timestamp, rules
from cloudimage.api.resolved_source import ResolvedSource
from cloudimage.durations import PATTERN

Duration = Annotated[
    str,
    StringConstraints(max_length=24),
    Like(PATTERN, "must be a duration in days, hours, minutes and seconds, such as 90m or 60d"),
]
CronSchedule = Annotated[
    str,
    StringConstraints(max_length=128),
    Like(
        r"[-0-9A-Za-z*,/#]+( +[-0-9A-Za-z*,/#]+){4}",
        "must be a cron schedule of five fields, such as 0 3 * * *",
    ),
]
TimeZone = Annotated[
    str,
    StringConstraints(max_length=64),
    Like("[A-Za-z][-+_A-Za-z0-9]*(/[-+_A-Za-z0-9]+){0,2}", "must be a time zone's name"),
]


class FollowPolicy(StrEnum):
    """What is done about a new version."""

    APPLY = "Apply"
    REPORT = "Report"


class Window(ApiModel):
    """When new versions may be applied."""

    schedule: CronSchedule = Field(description="When it opens, as a cron schedule.")
    duration: Duration = Field(description="For how long it stays open.")


class Follow(
    ApiModel,
    json_schema_extra=rules(
        ("has(self.every) != has(self.schedule)", "give either every or schedule"),
    ),
):
    """How often the source is asked for a new version, and what is done about one."""

    every: Duration | None = Field(
        default=None,
        description="Time between two checks, or two snapshots of a server or a volume, at least a "
        "minute.",
    )
    schedule: CronSchedule | None = Field(
        default=None,
        description="When to check, or to take a snapshot, as a cron schedule such as 0 3 * * *.",
    )
    time_zone: TimeZone = Field(
        default="UTC",
        description="The time zone of the schedules, as the tz database names it, for example "
        "Europe/Berlin.",
    )
    policy: FollowPolicy = Field(
        default=FollowPolicy.APPLY,
        description="Apply: a new version becomes a new revision. Report: it is only told, by the "
        "condition UpdateAvailable, an Event and the status.",
    )
    suspend: bool = Field(default=False, description="Make no checks for now.")
    minimum_age: Duration | None = Field(
        default=None,
        description="How long a version must have been seen upstream before it is applied: time "
        "for the publisher to take back a bad one.",
    )
    window: Window | None = Field(
        default=None, description="When new versions may be applied. Defaults to always."
    )


class Available(ApiModel):
    """A version that the source has, and that is not served."""

    version: str = Field(description="The version.")
    checksum: str | None = Field(
        default=None, description="What its bytes hash to, as sha256:..., if the source says it."
    )
    since: Timestamp = Field(description="When it was first seen.")
    failed: bool = Field(
        default=False,
        description="An image could not be made of it. It is not retried until the source has "
        "another version.",
    )


class FollowStatus(ApiModel):
    """What the checks have found."""

    last_check_time: Timestamp | None = Field(
        default=None, description="When the source last said which version it has."
    )
    next_check_time: Timestamp | None = Field(default=None, description="When it is asked again.")
    version: str | None = Field(default=None, description="The version that is served.")
    previous: ResolvedSource | None = Field(
        default=None,
        description="What served before; it is meant again if no image can be made of the version.",
    )
    available: Available | None = Field(
        default=None, description="A newer version that is not served; the conditions say why."
    )
