"""Images with a signature that Glance checks; the bed's Glance has no Barbican to ask."""

from pathlib import Path

import pytest

from cloudimage.transfer.contract import Reason, Stage
from support.transfer_runs import Bench, fail, succeed

pytestmark = pytest.mark.cloud

SIGNED = {
    "img_signature": "YWJj",
    "img_signature_hash_method": "SHA-256",
    "img_signature_key_type": "RSA-PSS",
    "img_signature_certificate_uuid": "6ad8a3f5-0f0c-4b0c-9f0e-1b1b1b1b1b1b",
}


def test_a_key_manager_that_is_away_is_not_for_ever(bench: Bench, qcow2: Path) -> None:
    request = bench.request(bench.put(qcow2), properties=SIGNED, disk_format="qcow2")
    failure = fail(request, Reason.UPLOAD_FAILED)
    assert "Unable to retrieve certificate" in failure.message
    assert "Barbican, may be away" in failure.message


def test_a_signed_image_is_not_converted(bench: Bench, qcow2: Path) -> None:
    request = bench.request(bench.put(qcow2), properties=SIGNED, disk_format="raw")
    failure = fail(request, Reason.UNSUPPORTED_FORMAT)
    assert failure.stage is Stage.INSPECTING
    assert "img_signature" in failure.message
    assert "Set diskFormat to qcow2" in failure.message
    unsigned = {"img_signature_hash_method": "SHA-256"}
    succeed(bench.request(bench.put(qcow2), properties=unsigned, disk_format="raw"))
