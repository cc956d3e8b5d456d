"""Messages for an unreachable cloud, worded the same on each retry so that one write suffices."""

from datetime import datetime

from cloudimage.api.meta import FORCE_DELETE_ANNOTATION, Resource
from cloudimage.api.reasons import ConditionType, Reason
from cloudimage.controller.logic.conditions import find

HOW_TO_LET_GO = (
    f"To let the object go and leave whatever is in the cloud, annotate it with "
    f'{FORCE_DELETE_ANNOTATION}="true" and delete it.'
)


def since(resource: Resource, reason: str, now: datetime) -> datetime | None:
    """Return since when the cloud has been away; None when that is not the trouble."""
    if reason != Reason.CLOUD_UNREACHABLE:
        return None
    return resource.status.cloud_unreachable_since or now


def message(said: str, since: datetime | None) -> str:
    """Return what went wrong as whole sentences, with the time that it has lasted.

    The time is the first failure's and not the last one's: the status is written once and not at
    each try.
    """
    sentence = said if said.endswith((".", "!", "?")) else f"{said}."
    if since is None:
        return sentence
    return f"{sentence} The cloud has been away since {since:%Y-%m-%d %H:%M} UTC."


def first_told(resource: Resource, kind: str, reason: str, text: str) -> str:
    """Return the text, or what a condition says already of a cloud that stays away.

    Each try may fail at another request; the status is to be written once.
    """
    standing = find(resource.status.conditions, kind)
    if standing is not None and standing.reason == reason == Reason.CLOUD_UNREACHABLE:
        return standing.message
    return text


def holds_up(resource: Resource, reason: str, said: str, now: datetime) -> str:
    """Return what a deletion says of the cloud that holds it up, with how to let go."""
    text = f"{message(said, since(resource, reason, now))} {HOW_TO_LET_GO}"
    return first_told(resource, ConditionType.DELETION_BLOCKED, reason, text)
