"""What the runner of Jobs makes of an API server that refuses, or does not answer."""

import json

import pytest
from kubernetes.client import ApiException
from urllib3.exceptions import HTTPError, ReadTimeoutError

from cloudimage.runners.job import _lasting
from cloudimage.transfer.contract import Reason, Stage


def refusal(status: int, message: str) -> ApiException:
    """Return the client's exception for an answer as the API server gives it."""
    error = ApiException(status=status, reason="a reason")
    error.body = json.dumps({"kind": "Status", "message": message})
    return error


@pytest.mark.parametrize(
    "error",
    [
        refusal(403, "exceeded quota: jobs"),
        refusal(422, "metadata.annotations: Too long"),
        refusal(404, 'namespaces "gone" not found'),
    ],
)
def test_a_refusal_is_told_in_the_api_servers_words(error: ApiException) -> None:
    failure = _lasting(error, Stage.PENDING)
    assert failure is not None
    assert failure.reason is Reason.JOB_NOT_STARTED
    assert failure.message == (
        f"The transfer's Job does not start: {json.loads(error.body or '')['message']}"
    )


def test_an_answer_without_a_message_is_told_by_its_reason() -> None:
    failure = _lasting(ApiException(status=403, reason="Forbidden"), Stage.PENDING)
    assert failure is not None
    assert failure.message.endswith("Forbidden")


@pytest.mark.parametrize(
    "error",
    [
        *(refusal(status, "soon") for status in (401, 409, 429, 500, 503)),
        HTTPError("broken"),
        ReadTimeoutError(None, "/", "slow"),  # type: ignore[arg-type]  # the pool is not looked at
    ],
)
def test_what_may_pass_is_waited_for(error: Exception) -> None:
    assert _lasting(error, Stage.UPLOADING) is None
