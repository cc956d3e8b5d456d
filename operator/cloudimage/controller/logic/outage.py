"""Messages for an unreachable cloud, worded the same on each retry so that one write suffices."""

from datetime import datetime

from cloudimage.api.meta import Resource
from cloudimage.api.names import FORCE_DELETE_ANNOTATION
from cloudimage.api.reasons import ConditionType, Reason
from cloudimage.controller.logic.conditions import find

HOW_TO_LET_GO = (
    f"To remove the object but leave everything in the cloud, annotate it with "
    f'{FORCE_DELETE_ANNOTATION}="true" and delete it.'
)


def unreachable_since(resource: Resource, reason: str, now: datetime) -> datetime | None:
    """Return when the cloud became unreachable; None if the failure is another one."""
    if reason != Reason.CLOUD_UNREACHABLE:
        return None
    return resource.status.cloud_unreachable_since or now


def sentence(said: str, since: datetime | None) -> str:
    """Return what went wrong as whole sentences, with the time at which it began.

    The time is the first failure's and not the last one's: the status is written once and not at
    each try.
    """
    sentence = said if said.endswith((".", "!", "?")) else f"{said}."
    if since is None:
        return sentence
    return f"{sentence} The cloud has been unreachable since {since:%Y-%m-%d %H:%M} UTC."


def keep_first(resource: Resource, kind: str, reason: str, text: str) -> str:
    """Return the text, or what a condition already says about a cloud that stays unreachable.

    Each try may fail at another request; the status is to be written once.
    """
    standing = find(resource.status.conditions, kind)
    if standing is not None and standing.reason == reason == Reason.CLOUD_UNREACHABLE:
        return standing.message
    return text


def deletion_message(resource: Resource, reason: str, said: str, now: datetime) -> str:
    """Return what a blocked deletion says about the cloud, and how to delete anyway."""
    text = f"{sentence(said, unreachable_since(resource, reason, now))} {HOW_TO_LET_GO}"
    return keep_first(resource, ConditionType.DELETION_BLOCKED, reason, text)
