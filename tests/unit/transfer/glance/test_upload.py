"""The order of an upload's steps and what undoes them, against a Glance that lies."""

import hashlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

import pytest

from cloudimage.transfer.contract import Limits, NewImage, Reason, TransferError
from cloudimage.transfer.glance import image_lifecycle
from cloudimage.transfer.glance.errors import AwayError
from cloudimage.transfer.glance.hashed_body import HashedBody, compare
from cloudimage.transfer.glance.image_lifecycle import Stored, UploadContext, image_id
from cloudimage.transfer.glance.quota import Usage
from cloudimage.transfer.glance.upload import upload
from cloudimage.transfer.image.conversion import Payload
from cloudimage.transfer.interrupts import Interrupts
from cloudimage.transfer.progress import Meter
from cloudimage.vocabulary.marks import Marks
from support.fake_glance import FakeGlance

if TYPE_CHECKING:
    from cloudimage.transfer.glance.client import Glance

CHUNKS = [b"a" * 1000, b"b" * 1000]
CONTENT = b"".join(CHUNKS)
IMAGE = NewImage(id_seed="seed", name="name")


@pytest.fixture
def glance(monkeypatch: pytest.MonkeyPatch) -> FakeGlance:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    return FakeGlance()


def chunks() -> Iterator[bytes]:
    yield from CHUNKS


def go(glance: FakeGlance) -> Stored:
    payload = Payload("raw", len(CONTENT), cast("Any", chunks))
    limits = Limits(silence_seconds=glance.silence)
    meter = Meter(lambda _: None)
    target = UploadContext(cast("Glance", glance), IMAGE, meter, Interrupts(), limits=limits)
    return upload(target, payload)


def posts(glance: FakeGlance) -> int:
    """Upload and return how many ids were tried."""
    before = glance.posts
    go(glance)
    return glance.posts - before


def failure(glance: FakeGlance) -> TransferError:
    with pytest.raises(TransferError) as caught:
        go(glance)
    return caught.value


def test_verified_image(glance: FakeGlance) -> None:
    value = hashlib.sha512(CONTENT).hexdigest()
    uploaded = go(glance)
    assert uploaded == Stored(image_id("seed", 0), "raw", len(CONTENT), "sha512", value)
    assert glance.images[uploaded.image_id][Marks.VERIFIED] == f"sha512:{value}"


def test_another_algorithm_than_sha512(glance: FakeGlance) -> None:
    glance.algorithm = "sha256"
    value = hashlib.sha256(CONTENT).hexdigest()
    assert (go(glance).hash_algo, go(glance).hash_value) == ("sha256", value)


def test_nothing_is_made_that_is_over_the_quota(glance: FakeGlance) -> None:
    glance.quota = {"image_size_total": Usage(used=2, limit=1)}
    assert failure(glance).reason is Reason.QUOTA_EXCEEDED
    assert glance.used == set()


@pytest.mark.parametrize(
    "lie", [{"size": 1999}, {"os_hash_value": "0" * 128}, {"os_hash_value": None}]
)
def test_other_bytes_than_were_sent(glance: FakeGlance, lie: dict[str, Any]) -> None:
    glance.truth = lie
    assert failure(glance).reason is Reason.UPLOAD_MISMATCH
    assert glance.images == {}


def test_algorithm_that_is_not_known(glance: FakeGlance) -> None:
    glance.truth = {"os_hash_algo": "md17"}
    assert failure(glance).reason is Reason.UPLOAD_FAILED
    assert glance.images == {}


@pytest.mark.parametrize("status", ["queued", "killed", "deactivated"])
def test_store_that_dropped_the_bytes(glance: FakeGlance, status: str) -> None:
    glance.truth = {"status": status}
    assert failure(glance).reason is Reason.UPLOAD_FAILED
    assert glance.images == {}


def test_bytes_dropped_without_an_answer_are_sent_again(glance: FakeGlance) -> None:
    """They may never have left this machine; with an answer it would be Glance's own doing."""
    glance.truth = {"status": "queued"}
    glance.fail_at = {"after sending": [AwayError("reset")]}
    assert "Glance dropped the bytes" in failure(glance).message
    assert len(glance.used) == 2
    assert glance.images == {}


def test_store_that_never_ends(glance: FakeGlance) -> None:
    glance.silence = 0.05
    glance.truth = {"status": "saving"}
    assert "no progress for 0.05 s" in failure(glance).message
    assert glance.images == {}


STEPS = ["create", "send", "show", "set_property"]


@pytest.mark.parametrize("step", STEPS)
def test_failure_at_any_step_deletes_the_image(glance: FakeGlance, step: str) -> None:
    error = TransferError(Reason.CLOUD_ERROR, "gone")
    glance.fail_at = {step: [error], "delete": [error]}
    assert failure(glance) is error
    assert glance.images == {}


@pytest.mark.parametrize("step", STEPS)
def test_interrupt_at_any_step_deletes_the_image(glance: FakeGlance, step: str) -> None:
    glance.fail_at = {step: [KeyboardInterrupt()]}
    with pytest.raises(KeyboardInterrupt):
        go(glance)
    assert glance.images == {}


def test_image_that_cannot_be_deleted_does_not_hide_the_reason(glance: FakeGlance) -> None:
    error = TransferError(Reason.QUOTA_EXCEEDED, "too much")
    glance.fail_at = {"send": [error], "delete": [error] * 99}
    assert failure(glance) is error


GONE = AwayError("gone")


@pytest.mark.parametrize("error", [GONE, TransferError(Reason.INVALID_CREDENTIALS, "401")])
def test_bytes_that_did_not_get_through_are_sent_again(
    glance: FakeGlance, error: TransferError
) -> None:
    glance.fail_at = {"send": [error]}
    assert go(glance).image_id == image_id("seed", 1)
    assert set(glance.images) == {image_id("seed", 1)}


def test_token_that_expires_at_the_very_end(glance: FakeGlance) -> None:
    glance.fail_at = {"after sending": [TransferError(Reason.INVALID_CREDENTIALS, "401")]}
    assert go(glance).image_id == image_id("seed", 1)


@pytest.mark.parametrize(
    ("error", "attempts"), [(GONE, 3), (TransferError(Reason.INVALID_CREDENTIALS, "401"), 2)]
)
def test_bytes_are_not_sent_for_ever(
    glance: FakeGlance, error: TransferError, attempts: int
) -> None:
    glance.fail_at = {"send": [error] * 9}
    assert failure(glance) is error
    assert len(glance.used) == attempts
    assert glance.images == {}


def test_answer_lost_after_the_last_byte(glance: FakeGlance) -> None:
    glance.fail_at = {"after sending": [GONE]}
    assert go(glance).image_id == image_id("seed", 0)


def test_outage_while_the_store_works(glance: FakeGlance) -> None:
    glance.fail_at = {"show": [GONE, GONE]}
    assert go(glance).image_id == image_id("seed", 0)


def test_image_that_could_not_be_deleted_is_deleted_later(glance: FakeGlance) -> None:
    glance.fail_at = {"send": [GONE], "delete": [GONE] * len(image_lifecycle.DELETE_PAUSES)}
    go(glance)
    assert set(glance.images) == {image_id("seed", 1)}


def test_used_ids_are_passed_over_and_left_alone(glance: FakeGlance) -> None:
    first = go(glance)
    second = go(glance)
    assert [first.image_id, second.image_id] == [image_id("seed", n) for n in (0, 1)]
    assert set(glance.images) == {first.image_id, second.image_id}


def test_a_thousand_used_ids_take_few_requests(glance: FakeGlance) -> None:
    glance.used = {image_id("seed", attempt) for attempt in range(1000)}
    assert posts(glance) <= 12


def test_ids_last_for_years_of_broken_sends(glance: FakeGlance) -> None:
    assert max(posts(glance) for _ in range(3000)) <= 24
    assert len(glance.images) == 3000


def test_ids_come_to_an_end(glance: FakeGlance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_lifecycle, "MAX_ATTEMPTS", 2)
    glance.used = {image_id("seed", 0), image_id("seed", 1)}
    assert failure(glance).reason is Reason.CLOUD_ERROR


def test_stream_is_never_sent_twice() -> None:
    payload = Payload("raw", len(CONTENT), cast("Any", chunks))
    body = HashedBody(payload, Meter(lambda _: None), "n")
    assert b"".join(body) == CONTENT
    with pytest.raises(TransferError):
        list(body)


def test_a_hash_that_the_source_computes_is_not_computed_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hashlib, "sha512", None)
    known = "0" * 128
    payload = Payload("raw", len(CONTENT), cast("Any", chunks), lambda: known)
    body = HashedBody(payload, Meter(lambda _: None), "n")
    assert b"".join(body) == CONTENT
    assert body.sha512 == known
    stored = {"size": len(CONTENT), "os_hash_algo": "sha512", "os_hash_value": "1" * 128}
    with pytest.raises(TransferError, match=known) as caught:
        compare(stored, payload, body.sha512)
    assert caught.value.reason is Reason.UPLOAD_MISMATCH


def test_stream_that_is_given_up_is_closed() -> None:
    closed = []

    def stream() -> Iterator[bytes]:
        try:
            yield from CHUNKS
        finally:
            closed.append(True)

    payload = Payload("raw", len(CONTENT), cast("Any", stream))
    sending = cast("Any", iter(HashedBody(payload, Meter(lambda _: None), "n")))
    next(sending)
    sending.close()
    assert closed == [True]
