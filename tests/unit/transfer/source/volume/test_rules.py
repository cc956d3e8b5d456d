"""What Cinder is asked for, and what it is not asked for at all."""

from typing import Any

import pytest

from cloudimage.transfer.contract import NewImage, Reason, TransferError
from cloudimage.transfer.source.snapshot.rules import only
from cloudimage.transfer.source.snapshot.services import Volume, VolumeSnapshot
from cloudimage.transfer.source.volume import rules

VOLUME = Volume(id="v", size=1, status="available")


@pytest.mark.parametrize(
    ("wanted", "stays", "asked"),
    [
        ({}, True, "raw"),
        ({"disk_format": "raw"}, True, "raw"),
        ({"disk_format": "qcow2"}, True, "qcow2"),
        # Cinder does not compress, and what is copied is converted here.
        ({"disk_format": "qcow2", "compress": True}, True, "raw"),
        ({"disk_format": "qcow2"}, False, "raw"),
        ({"disk_format": "vmdk"}, True, "raw"),
    ],
)
def test_cinder_converts_to_what_it_can(wanted: dict[str, Any], *, stays: bool, asked: str) -> None:
    image = NewImage(id_seed="seed", name="n", **wanted)
    assert rules.uploaded_format(image, stays=stays) == asked


@pytest.mark.parametrize(
    ("change", "force", "reason"),
    [
        ({}, False, None),
        ({"status": "in-use"}, True, None),
        ({"status": "in-use"}, False, Reason.SOURCE_BUSY),
        ({"status": "uploading"}, True, Reason.SOURCE_BUSY),
        ({"status": "creating"}, False, Reason.SOURCE_BUSY),
        ({"status": "error_deleting"}, True, Reason.SOURCE_REFUSED),
        ({"encrypted": True}, False, Reason.SOURCE_REFUSED),
    ],
)
def test_a_volume_that_cannot_be_read(
    change: dict[str, Any], *, force: bool, reason: Reason | None
) -> None:
    volume = VOLUME.model_copy(update=change)
    if reason is None:
        rules.check(volume, force=force)
        return
    with pytest.raises(TransferError) as caught:
        rules.check(volume, force=force)
    assert caught.value.reason is reason


def test_a_status_that_is_no_word_is_not_shown() -> None:
    snapshot = VolumeSnapshot(id="s", size=1, status="<script>")
    with pytest.raises(TransferError, match="unknown"):
        rules.check_snapshot(snapshot)


def test_several_of_a_name_are_named() -> None:
    found = [VOLUME.model_copy(update={"id": str(number)}) for number in range(5)]
    with pytest.raises(TransferError, match=r"5 volumes are called 'x': 0, 1, 2, \.\.\.") as caught:
        only(found, "volume", "x")
    assert caught.value.reason is Reason.SOURCE_AMBIGUOUS
