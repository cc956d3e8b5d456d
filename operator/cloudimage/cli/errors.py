"""What can go wrong between a user and the cluster, each as one plain sentence."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus

from kubernetes.client import ApiException
from kubernetes.config import ConfigException
from urllib3.exceptions import HTTPError

from cloudimage.api.kinds import KINDS


@contextmanager
def sentences(server: Callable[[], str] = str) -> Iterator[None]:
    """Turn whatever the cluster answers into a sentence.

    Args:
        server: Returns the URL of the cluster, once it is known.

    Raises:
        CommandError: With that sentence.
    """
    try:
        yield
    except ApiException as error:
        status, body = int(error.status or 0), _text(error.body)
        raise CommandError(of_answer(status, body, str(error.reason))) from error
    except HTTPError as error:
        raise CommandError(
            f"The cluster at {server()} does not answer: {_cause(error)}. Check that it is up, and "
            "that this is the right context (--context)."
        ) from error
    except ConfigException as error:
        raise CommandError(
            f"There is no usable kubeconfig: {str(error).rstrip('.')}. Set KUBECONFIG or give "
            "--kubeconfig and --context."
        ) from error


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


def _text(body: object) -> str:
    return body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body or "")


def _cause(error: BaseException) -> str:
    """Return the innermost words: urllib3 wraps them in the names of its own objects."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).rstrip(".")


class CommandError(Exception):
    """What is wrong and what to do, as a sentence for the user; the exit status is 1."""
