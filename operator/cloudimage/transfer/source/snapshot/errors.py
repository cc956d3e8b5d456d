"""The failures of a transfer that a source's Nova or Cinder is the cause of."""

from collections.abc import Mapping
from typing import Final

import requests

from cloudimage.access.failures import Failure, Kind, of_response
from cloudimage.transfer.contract import Reason, TransferError

_REASONS: Final[Mapping[Kind, Reason]] = {
    Kind.INVALID_CREDENTIALS: Reason.INVALID_CREDENTIALS,
    Kind.FORBIDDEN: Reason.SOURCE_REFUSED,
    Kind.INVALID: Reason.SOURCE_REFUSED,
    Kind.NOT_FOUND: Reason.SOURCE_NOT_FOUND,
    Kind.CONFLICT: Reason.SOURCE_BUSY,
    Kind.QUOTA_EXCEEDED: Reason.QUOTA_EXCEEDED,
    Kind.BODY_LIMIT: Reason.QUOTA_EXCEEDED,
}
_SERVICES: Final = {"image": "Glance", "compute": "Nova", "block_storage": "Cinder"}


def answer_error(
    response: requests.Response, service: str, doing: str, right: str
) -> TransferError:
    """Return what a status other than success means.

    Args:
        response: The service's answer.
        service: Which, as the SDK calls it.
        doing: What was tried, for the message: "show server 1".
        right: The policy that allows it.
    """
    failure = of_response(response)
    said = failure.sentence
    if failure.kind is Kind.FORBIDDEN and not _is_quota(failure):
        said = f"{said} Ask the source cloud's administrators for the right (policy {right})"
    elif failure.kind is Kind.NOT_FOUND:
        said = f"the credentials of the source cloud cannot see it. {said}"
    return TransferError(
        _reason(failure),
        f"the source's {_SERVICES[service]} does not {doing} ({failure.status}): {said}",
        retry_after=failure.retry_after,
    )


def _reason(failure: Failure) -> Reason:
    if _is_quota(failure):
        return Reason.QUOTA_EXCEEDED
    return _REASONS.get(failure.kind, Reason.SOURCE_UNREACHABLE)


def _is_quota(failure: Failure) -> bool:
    """Return whether a quota is the cause: Nova tells it by 403, which also a missing right is."""
    told = failure.sentence.lower()
    known = failure.kind in {Kind.FORBIDDEN, Kind.INVALID, Kind.CONFLICT}
    return known and ("quota" in told or "limit exceeded" in told)
