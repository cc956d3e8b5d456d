"""Reasons of conditions: what comes of spec.follow."""

from enum import StrEnum


class FollowReason(StrEnum):
    """How far the source is followed."""

    ASKED = "Asked"
    """The source has said which version it has."""
    UP_TO_DATE = "UpToDate"
    """The version that is served is the newest that the source has."""
    UPDATING = "Updating"
    """A new version of the source is being made into an image; the previous image serves
    meanwhile."""
    UPDATE_REPORTED = "UpdateReported"
    """The source has a newer version, and spec.follow.policy is Report. Set it to Apply, or change
    spec.source."""
    UPDATE_HELD = "UpdateHeld"
    """A newer version waits for spec.follow.minimumAge or spec.follow.window; the message says
    until when."""
    UPDATE_FAILED = "UpdateFailed"
    """No image could be made of the source's newest version; the message says why. The image
    before it stays in use. Retried once the source has another version, or on request."""
    SOURCE_WENT_BACK = "SourceWentBack"
    """The source has an older version than the one that is served, or one that was served before.
    The image stays as it is. If that is meant, name that version in spec.source."""
    SUSPENDED = "Suspended"
    """spec.follow.suspend is true: the source is not asked."""
    INVALID_SCHEDULE = "InvalidSchedule"
    """A schedule or the time zone in spec.follow cannot be understood; the message says which."""
    NOT_FOLLOWABLE = "NotFollowable"
    """spec.source says for good which bytes it means, so that there is nothing to follow: a digest,
    a version, an id, or a checksum. The message says what to change; or remove spec.follow."""
