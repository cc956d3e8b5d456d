"""What can go wrong between a user and the cluster, each as one plain sentence."""

import json
from http import HTTPStatus

from cloudimage.api.kinds import KINDS


def of_answer(status: int, body: str, reason: str) -> str:
    """Return what an error of the API server means.

    Args:
        status: HTTP's.
        body: Its body: a ``Status`` of Kubernetes, but for a path that it does not know.
        reason: HTTP's phrase.
    """
    said = _message(body)
    if status == HTTPStatus.NOT_FOUND and said is None:
        names = " and ".join(kind.crd_name for kind in KINDS)
        return (
            "The cluster does not have the CRDs: install the operator's chart, or its CRDs "
            f"{names}."
        )
    words = (said or reason).rstrip(".")
    if status == HTTPStatus.NOT_FOUND:
        return f"There is no such object: {words}. Also check the namespace (-n)."
    if status == HTTPStatus.UNAUTHORIZED:
        return "The cluster does not accept your credentials: log in again, or choose --context."
    if status == HTTPStatus.FORBIDDEN:
        return (
            f"You are not allowed to do that: {words}. Ask the cluster's administrator for "
            "permission."
        )
    return f"The cluster refused with status {status}: {words}."


def _message(body: str) -> str | None:
    """Return the message of a ``Status``, or None if the body is not one."""
    try:
        document = json.loads(body)
    except ValueError:
        return None
    is_status = isinstance(document, dict) and document.get("kind") == "Status"
    return str(document.get("message", "")) if is_status else None


class CommandError(Exception):
    """What is wrong and what to do, as a sentence for the user; the exit status is 1."""
