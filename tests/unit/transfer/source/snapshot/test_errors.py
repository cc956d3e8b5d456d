"""What Nova's and Cinder's refusals mean, as these services write them."""

import json
from typing import Any

import pytest
import requests

from cloudimage.transfer.contract import Reason
from cloudimage.transfer.source.snapshot.errors import answer_error

OVER = "VolumeLimitExceeded: Maximum number of volumes allowed (10) exceeded for quota 'volumes'."
TASK = "Cannot 'createImage' instance 1 while it is in task_state image_uploading"
POLICY = "Policy doesn't allow os_compute_api:servers:create_image to be performed."


def answer(status: int, body: Any) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    response.headers["Content-Type"] = "application/json"
    response._content = json.dumps(body).encode()
    return response


@pytest.mark.parametrize(
    ("status", "body", "reason", "words"),
    [
        (409, {"conflictingRequest": {"code": 409, "message": TASK}}, Reason.SOURCE_BUSY, TASK),
        (
            413,
            {"overLimit": {"code": 413, "message": OVER, "retryAfter": "0"}},
            Reason.QUOTA_EXCEEDED,
            "Maximum number of volumes allowed (10)",
        ),
        (
            403,
            {"forbidden": {"code": 403, "message": "Quota exceeded for snapshots"}},
            Reason.QUOTA_EXCEEDED,
            "Quota exceeded",
        ),
        (
            403,
            {"forbidden": {"code": 403, "message": POLICY}},
            Reason.SOURCE_REFUSED,
            "administrators for the right (policy p)",
        ),
        (
            404,
            {"itemNotFound": {"code": 404, "message": "Instance 1 could not be found."}},
            Reason.SOURCE_NOT_FOUND,
            "cannot see it",
        ),
        (503, {}, Reason.SOURCE_UNREACHABLE, "503"),
        (500, {}, Reason.SOURCE_UNREACHABLE, "500"),
        (401, {}, Reason.INVALID_CREDENTIALS, "401"),
    ],
)
def test_a_refusal_has_the_reason_that_tells_what_to_do(
    status: int, body: Any, reason: Reason, words: str
) -> None:
    error = answer_error(answer(status, body), "compute", "make a snapshot of server 1", "p")
    assert error.reason is reason
    assert words in error.message
    assert "the source's Nova does not make a snapshot of server 1" in error.message
