"""Which earlier image is replaced, and what is known of each."""

from datetime import timedelta
from typing import Any

import pytest

from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.status import CloudImageStatus
from cloudimage.cloud.models import GlanceImage, Server, Usage
from cloudimage.controller.logic.events import of_transitions
from cloudimage.images.logic import available_status, metadata, revisions, status
from cloudimage.images.logic.desired import Desired
from cloudimage.images.logic.owned_images import OwnedImages
from cloudimage.images.logic.revisions import PreviousImage
from cloudimage.transfer.contract import Checksum, Failure, Stage
from cloudimage.transfer.contract import Reason as TransferReason
from cloudimage.vocabulary.marks import Marks
from support.resources import NOW, cloud_image, glance_image

REPLACED = {Marks.REPLACED: "2026-01-02T00:00:00Z"}
EARLIER = cloud_image(http={"checksum": {"sha256": "00" * 32}})


def old(number: int = 1, **changes: Any) -> GlanceImage:
    """Return an image of an earlier spec, made that many days ago."""
    image_id = f"{number:08}-0000-4000-8000-000000000000"
    return glance_image(
        EARLIER, id=image_id, **{"created_at": NOW - timedelta(days=number), **changes}
    )


def aside(number: int, **changes: Any) -> GlanceImage:
    return old(number, **{"name": f"debian-12 ({NOW:%Y-%m-%d})", "hidden": True, **changes})


def owned(*previous: GlanceImage) -> OwnedImages:
    return OwnedImages(None, previous, ())


@pytest.mark.parametrize(
    ("status_id", "previous", "expected"),
    [
        (None, (), None),
        (old(2).id, (aside(1), aside(2)), 2),
        (old(2).id, (old(1), aside(2)), 2),
        ("another", (aside(1), aside(2)), None),
        (None, (aside(1), old(3), old(2)), 2),
        (None, (old(1, properties=REPLACED), old(3), old(2)), 2),
    ],
    ids=[
        "none",
        "by status",
        "status first",
        "all put aside",
        "a status that was lost",
        "one that is still shown",
    ],
)
def test_the_image_that_is_replaced_is_the_one_that_the_status_names_or_that_is_seen(
    status_id: str | None, previous: tuple[GlanceImage, ...], expected: int | None
) -> None:
    resource = cloud_image(status={"imageID": status_id})
    found = revisions.replaced(resource, owned(*previous))
    assert (found and found.id) == (expected and old(expected).id)


def test_a_deactivated_image_serves_nobody() -> None:
    assert revisions.serving(cloud_image(), owned(old())) == old()
    assert revisions.serving(cloud_image(), owned(old(status="deactivated"))) is None


@pytest.mark.parametrize(
    ("previous", "name", "expected"),
    [
        ((), None, "debian-12"),
        ((), "Debian 12", "Debian 12"),
        ((old(),), None, "debian-12 (in the making)"),
        ((old(),), "n" * 255, "n" * 239 + " (in the making)"),
    ],
)
def test_only_a_replacement_begins_with_another_name(
    previous: tuple[GlanceImage, ...], name: str | None, expected: str
) -> None:
    resource = cloud_image(image={"name": name})
    assert revisions.name_to_begin_with(resource, owned(*previous)) == expected


def test_what_glance_may_refuse_is_changed_before_anybody_sees_it() -> None:
    resource = cloud_image(image={"visibility": "public", "properties": {"a": "b"}})
    new = glance_image(resource, name="debian-12 (in the making)", hidden=True)
    differences = tuple(each.operation for each in metadata.differences(resource, new))
    before, after = revisions.steps(resource, old(), new, differences)
    assert sorted(each["path"] for each in before) == ["/a", "/visibility"]
    assert sorted(each["path"] for each in after) == ["/name", "/os_hidden"]


@pytest.mark.parametrize(("wanted", "carried"), [(None, ["community"]), ("private", [])])
def test_a_visibility_that_the_spec_leaves_out_is_carried_over(
    wanted: str | None, carried: list[str]
) -> None:
    resource = cloud_image(image={"visibility": wanted})
    new = glance_image(resource)
    before, _ = revisions.steps(resource, old(visibility="community"), new, ())
    assert [each["value"] for each in before] == carried


SERVER = (Server("s", "web", "p"),)


@pytest.mark.parametrize(
    ("usage", "offered", "expected"),
    [
        (None, False, None),
        (Usage((), "AllProjects"), True, 0),
        (Usage((), "NoCompute"), True, 0),
        (Usage((), "OwnProject"), False, 0),
        (Usage((), "OwnProject"), True, None),
        (Usage(SERVER, "OwnProject"), True, 1),
    ],
)
def test_no_servers_are_none_only_where_all_would_be_seen(
    usage: Usage | None, *, offered: bool, expected: int | None
) -> None:
    assert revisions.users_seen(usage, offered=offered) == expected


def test_what_an_image_was_made_from_is_remembered_as_long_as_it_is_there() -> None:
    resource = cloud_image(http={"url": "https://example.org/disk.qcow2?token=secret"})
    desired, image = Desired.of(resource.spec), glance_image(resource)
    made = {"source": {"checksums": {"sha512": "cd" * 64, "sha256": "ab" * 32}}}
    first = revisions.listed(
        CloudImageStatus.model_validate(made), desired, image, [PreviousImage(old(1), 0)]
    )
    origin = ("https://example.org/disk.qcow2", f"sha256:{'ab' * 32}")
    known = {each.image_id: (each.source, each.source_checksum) for each in first.revisions}
    assert known == {image.id: origin, old(1).id: (None, None)}

    after = resource.model_copy(update={"status": first})
    assert revisions.pinned(after, desired) == Checksum(algorithm="sha256", value="ab" * 32)
    assert revisions.pinned(after, Desired.of(EARLIER.spec)) is None
    accepting = cloud_image(sourceChangePolicy="Accept").model_copy(update={"status": first})
    assert revisions.to_be_met(after, desired) is not None
    assert revisions.to_be_met(accepting, desired) is None

    later = first.model_copy(update={"source": None})
    [kept] = revisions.listed(later, desired, image, []).revisions
    assert (kept.source, kept.source_checksum) == origin


@pytest.mark.parametrize(
    ("checksums", "said"),
    [({"sha256": "ab" * 32}, False), ({"sha256": "00" * 32}, True), ({"md5": "00" * 16}, False)],
    ids=["the same", "another", "not comparable"],
)
def test_another_file_is_said(checksums: dict[str, str], *, said: bool) -> None:
    resource = cloud_image()
    desired = Desired.of(resource.spec)
    revision = {"imageID": "lost", "digest": desired.content_key, "current": True}
    resource = cloud_image(
        status={"revisions": [{**revision, "sourceChecksum": f"sha256:{'ab' * 32}"}]}
    )
    new = CloudImageStatus.model_validate({"imageID": "new", "source": {"checksums": checksums}})
    event = revisions.source_changed(resource, desired, new)
    assert (event is not None) is said
    if event:
        assert (event.type, event.reason) == ("Warning", "SourceChanged")
        assert "ab" * 32 in event.message
        assert "00" * 32 in event.message


def test_revisions_are_listed_the_newest_first_with_who_uses_them() -> None:
    resource = cloud_image()
    current = glance_image(resource, created_at=NOW - timedelta(days=2))
    known = available_status.available(
        resource, Desired.of(resource.spec), current, Usage(SERVER, "AllProjects"), None, NOW
    )
    new = revisions.listed(
        known,
        Desired.of(resource.spec),
        current,
        [PreviousImage(old(3), None), PreviousImage(old(1), 0)],
    )
    assert [each.to_json() for each in new.revisions] == [
        {
            "imageID": image.id,
            "digest": Desired.of(spec.spec).content_key,
            "created": f"{image.created_at:%Y-%m-%dT%H:%M:%SZ}",
            "current": image is current,
            **({} if servers is None else {"users": servers}),
        }
        for image, spec, servers in (
            (old(1), EARLIER, 0),
            (current, resource, 1),
            (old(3), EARLIER, None),
        )
    ]


def _ready(resource: CloudImage) -> CloudImage:
    new = available_status.available(
        resource, Desired.of(resource.spec), glance_image(resource), None, None, NOW
    )
    return resource.model_copy(update={"status": new})


def test_a_failed_revision_says_which_image_serves_and_why_without_an_event_of_its_own() -> None:
    resource = _ready(cloud_image())
    failure = Failure(reason=TransferReason.SOURCE_NOT_FOUND, message="404", stage=Stage.FETCHING)
    new = status.failed(resource, failure, NOW, None)
    [ready] = [each for each in new.conditions if each.type == "Ready"]
    assert (ready.status, ready.reason) == ("True", "RevisionFailed")
    assert resource.status.image_id is not None
    assert resource.status.image_id in ready.message
    assert "404" in ready.message
    events = of_transitions(resource.status.conditions, new.conditions)
    assert [(each.type, each.reason) for each in events] == [("Warning", "SourceNotFound")]


def test_an_image_that_is_returned_to_does_not_show_how_another_was_made() -> None:
    made = {"method": "Upload", "virtualSize": 7, "source": {"format": "qcow2", "virtualSize": 7}}
    resource = cloud_image(status={"imageID": "another", **made})
    image = glance_image(resource)

    def shown(new: CloudImageStatus) -> tuple[object, ...]:
        return (new.method, new.virtual_size, new.source)

    returned = available_status.available(
        resource, Desired.of(resource.spec), image, None, None, NOW
    )
    assert shown(returned) == (None, image.virtual_size, None)
    digest = Desired.of(resource.spec).content_key
    same = cloud_image(status={"imageID": image.id, "digest": digest, **made})
    assert shown(available_status.available(same, Desired.of(same.spec), image, None, None, NOW))[
        :2
    ] == ("Upload", 7)
