"""A cloud that does not answer: since when, in words that stay the same at each try."""

from datetime import datetime

from cloudimage.api.meta import FORCE_DELETE_ANNOTATION, Resource
from cloudimage.reconcile.reasons import Reason

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
