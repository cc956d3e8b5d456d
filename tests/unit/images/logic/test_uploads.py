"""Waiting for a file that a person uploads."""

from dataclasses import replace
from datetime import timedelta

import pytest

from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.status import UploadStatus
from cloudimage.images.logic import available_status, uploads
from cloudimage.images.logic.desired import Desired
from cloudimage.vocabulary.marks import SOURCE_MARK, UPLOAD_MARK, Marks
from support.resources import NOW, SHA256, cloud_image, glance_image

WHERE = UploadStatus(project_id="project", secret_uid="secret")


def uploaded(**upload: str) -> CloudImage:
    return cloud_image(source={"upload": upload})


def test_the_checksum_alone_decides_whichever_source_has_it() -> None:
    of_upload = Desired.of(uploaded(sha256=SHA256.upper()).spec)
    assert of_upload.content_key == Desired.of(cloud_image().spec).content_key
    assert of_upload.content_key != Desired.of(uploaded(sha256="cd" * 32).spec).content_key
    assert of_upload.content_key != Desired.of(uploaded().spec).content_key
    assert uploads.is_awaited(of_upload)
    assert not uploads.is_awaited(Desired.of(cloud_image().spec))


@pytest.mark.parametrize("serves", [True, False])
def test_the_command_is_said(*, serves: bool) -> None:
    resource = uploaded(sha256=SHA256)
    desired = Desired.of(resource.spec)
    serving = glance_image(resource) if serves else None
    status = uploads.awaiting(resource, desired, serving, WHERE, NOW)
    found = {each.type: (each.status, each.reason) for each in status.conditions}
    ready = ("True", "ReplacementPending") if serves else ("False", "AwaitingUpload")
    assert found["Ready"] == ready
    assert found["Uploaded"] == ("False", "AwaitingUpload")
    assert found["Reconciling"] == ("True", "AwaitingUpload")
    (said,) = (each.message for each in status.conditions if each.type == "Reconciling")
    assert said.endswith(": kubectl cloudimage upload FILE --name debian-12 -n images")
    assert SHA256 in said
    assert (status.digest, status.upload) == (desired.content_key, WHERE)
    assert status.image_id == (serving.id if serving else None)


@pytest.mark.parametrize(
    ("properties", "hours", "goes_on"),
    [
        ({UPLOAD_MARK: "x"}, 23, True),
        ({UPLOAD_MARK: "x"}, 25, False),
        ({UPLOAD_MARK: "x", Marks.DIGEST: "another"}, 1, False),
        ({}, 1, False),
    ],
)
def test_which_unfinished_images_are_left_alone(
    properties: dict[str, str], hours: float, *, goes_on: bool
) -> None:
    resource = uploaded()
    image = replace(glance_image(resource, properties=properties), status="saving")
    at = NOW + timedelta(hours=hours)
    assert uploads.goes_on(image, Desired.of(resource.spec), at) is goes_on


@pytest.mark.parametrize(
    ("mark", "known"), [(SHA256, {"sha256": SHA256}), ("nonsense", None), (None, None)]
)
def test_the_file_is_known_by_its_mark(mark: str | None, known: dict[str, str] | None) -> None:
    resource = uploaded()
    image = glance_image(resource, properties={SOURCE_MARK: mark} if mark else {})
    desired = Desired.of(resource.spec)
    status = available_status.available(resource, desired, image, None, None, NOW)
    assert (status.source.checksums if status.source else None) == known
    assert status.upload is None
