"""When an image is stored, may still be, or never will be."""

import time
from typing import TYPE_CHECKING, Any, cast

import pytest

from cloudimage.transfer.contract import Reason, TransferError
from cloudimage.transfer.glance import wait as waiting
from cloudimage.transfer.glance.errors import AwayError, FaultError
from cloudimage.transfer.glance.wait import failure, is_stored, wait_until_stored

if TYPE_CHECKING:
    from cloudimage.transfer.glance.client import Glance


@pytest.mark.parametrize(
    ("image", "stored"),
    [
        ({"status": "active"}, False),
        ({"status": "active", "stores": "fast"}, False),
        ({"status": "active", "stores": "slow,fast"}, True),
        ({"status": "active", "stores": "slow", "os_glance_importing_to_stores": "x"}, False),
        ({"status": "importing", "stores": "slow"}, False),
    ],
)
def test_stored(image: dict[str, Any], stored: bool) -> None:
    assert is_stored(image, ("slow",)) is stored


RUNNING = {"status": "processing"}


@pytest.mark.parametrize(
    ("image", "task", "words"),
    [
        ({"status": "saving"}, None, None),
        ({"status": "importing"}, RUNNING, None),
        ({"status": "queued"}, RUNNING, None),
        ({"status": "queued"}, None, "Glance dropped the bytes"),
        ({"status": "queued"}, {"status": "success"}, "Glance dropped the bytes"),
        ({"status": "killed"}, None, "killed"),
        ({"status": "importing"}, {"status": "failure", "message": "no route"}, "no route"),
        ({"status": "importing"}, {"status": "failure", "message": None}, "gives no reason"),
        ({"status": "queued", "os_glance_failed_import": "slow"}, None, "(into slow)"),
        ({"status": "active", "stores": "fast"}, RUNNING, None),
        ({"status": "active", "os_glance_importing_to_stores": "slow"}, None, None),
        ({"status": "active", "stores": "fast"}, {"status": "success"}, "not in slow"),
    ],
)
def test_failures(image: dict[str, Any], task: dict[str, Any] | None, words: str | None) -> None:
    found = failure(image, task, ("slow",), waiting=False)
    if words is None:
        assert found is None
    else:
        assert found is not None
        assert found.reason is Reason.UPLOAD_FAILED
        assert words in found.message


def test_import_that_has_not_begun() -> None:
    assert failure({"status": "queued"}, None, (), waiting=True) is None
    failed = {"status": "queued", "os_glance_failed_import": "fast"}
    assert failure(failed, None, (), waiting=True) is not None


@pytest.mark.parametrize(
    "said",
    ["Project x is over limit for image_size_total", "Image storage media is full: /images"],
)
def test_quota(said: str) -> None:
    found = failure({"status": "queued"}, {"status": "failure", "message": said}, (), waiting=False)
    assert found is not None
    assert found.reason is Reason.QUOTA_EXCEEDED


def test_larger_than_glance_takes() -> None:
    task = {"status": "failure", "message": "The provided image is too large."}
    found = failure({"status": "queued"}, task, (), waiting=False)
    assert found is not None
    assert found.reason is Reason.IMAGE_TOO_LARGE


class Scripted:
    """A Glance that shows one image after the other, and raises the errors among them."""

    def __init__(self, *shown: dict[str, Any] | TransferError) -> None:
        self.shown = list(shown)

    def show(self, _: str) -> dict[str, Any]:
        """Return the next image; the last one for ever."""
        now = self.shown.pop(0) if len(self.shown) > 1 else self.shown[0]
        if isinstance(now, TransferError):
            raise now
        return now

    def newest_task(self, _: str) -> None:
        """Return no task: the Glance is old."""


def wait(*shown: dict[str, Any] | TransferError, silence: float = 60) -> dict[str, Any]:
    glance = cast("Glance", Scripted(*shown))
    return wait_until_stored(glance, "id", silence, on_task=lambda _: None)


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "_POLL_SECONDS", 0.01)


GONE = AwayError("gone")
BROKEN = FaultError(Reason.UPLOAD_FAILED, "500")
ACTIVE = {"status": "active", "size": 1}
QUEUED, IMPORTING = {"status": "queued"}, {"status": "importing"}


def test_import_without_tasks() -> None:
    assert wait(QUEUED, IMPORTING, GONE, BROKEN, IMPORTING, ACTIVE) == ACTIVE


def test_import_that_falls_back_to_queued() -> None:
    with pytest.raises(TransferError, match="dropped the bytes"):
        wait(QUEUED, IMPORTING, QUEUED)


def test_silence_counts_from_the_last_news() -> None:
    steps = [{"status": "importing", "updated_at": str(n)} for n in range(20)]
    began = time.monotonic()
    with pytest.raises(TransferError, match="no progress"):
        wait(*steps, silence=0.1)
    assert time.monotonic() - began > 0.2


@pytest.mark.parametrize("error", [GONE, BROKEN])
def test_outages_end(error: TransferError, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "OUTAGE_SECONDS", 0.05)
    with pytest.raises(TransferError) as caught:
        wait(IMPORTING, error)
    assert caught.value is error


def test_outage_after_a_long_silence_is_one_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "OUTAGE_SECONDS", 0.1)
    assert wait(*[IMPORTING] * 20, GONE, ACTIVE) == ACTIVE


def test_other_errors_end_at_once() -> None:
    with pytest.raises(TransferError, match="broken"):
        wait(TransferError(Reason.CLOUD_ERROR, "broken"), ACTIVE)
