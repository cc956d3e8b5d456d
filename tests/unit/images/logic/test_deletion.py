"""What holds an image, and how that is reported."""

import pytest

from cloudimage.api.reasons import Reason
from cloudimage.cloud.models import Server, Usage, Volume
from cloudimage.images.logic import deletion
from cloudimage.images.logic.status import used_by
from support.resources import NOW, cloud_image, glance_image

IMAGE = "11111111-1111-4111-8111-111111111111"
SERVERS = (Server("s1", "web", "p1"),)
VOLUMES = tuple(Volume(f"v{n}", f"root-{n}", "p2") for n in range(6))
SERVER_TEXT = (
    f"1 server uses image {IMAGE}: web (s1, project p1); "
    "the credentials can see only their own project's servers."
)
VOLUME_TEXT = (
    f"1 volume was made from image {IMAGE}: root-0 (v0, project p2); "
    "only administrators can see those of other projects."
)


@pytest.mark.parametrize(
    ("usage", "text"),
    [
        (Usage((), "OwnProject"), None),
        (Usage((), "OwnProject", ()), None),
        (Usage(SERVERS, "OwnProject"), SERVER_TEXT),
        (Usage((), "OwnProject", VOLUMES[:1]), VOLUME_TEXT),
        (Usage((), "NoCompute", VOLUMES[:1]), VOLUME_TEXT),
        (Usage(SERVERS, "OwnProject", VOLUMES[:1]), f"{SERVER_TEXT} {VOLUME_TEXT}"),
    ],
)
def test_servers_and_volumes_hold_an_image(usage: Usage, text: str | None) -> None:
    resource = cloud_image()
    blocker = deletion.blocker(resource, glance_image(resource), usage)
    assert (blocker and blocker.message) == text
    assert usage.in_use is (text is not None)
    assert blocker is None or blocker.reason is Reason.IN_USE


def test_an_image_whose_users_nobody_can_name_goes_only_if_the_spec_says_so() -> None:
    refused = Usage((), "Refused", ())
    resource = cloud_image()
    blocker = deletion.blocker(resource, glance_image(resource), refused)
    assert blocker is not None
    assert blocker.reason is Reason.USAGE_UNKNOWN
    assert "spec.usageCheck" in blocker.message
    assert used_by(refused, NOW).servers is None
    anyway = cloud_image(usageCheck="IfPermitted")
    assert deletion.blocker(anyway, glance_image(anyway), refused) is None
    seen = Usage(SERVERS, "Refused", ())
    assert deletion.blocker(anyway, glance_image(anyway), seen) is not None


@pytest.mark.parametrize(
    ("usages", "expected"),
    [
        ([Usage(SERVERS, "OwnProject")], True),
        ([Usage(SERVERS, "AllProjects", ())] * 2, True),
        ([Usage(SERVERS, "OwnProject", VOLUMES[:1])], False),
        ([Usage(SERVERS, "OwnProject"), Usage((), "OwnProject", VOLUMES[:1])], False),
        ([Usage(SERVERS, "OwnProject"), None], False),
        ([Usage((), "OwnProject")], False),
    ],
    ids=["servers", "of two images", "and volumes", "another's volumes", "shares", "the store"],
)
def test_servers_alone_are_told_from_what_ends_unseen(
    usages: list[Usage | None], expected: bool
) -> None:
    blockers = [deletion.Blocker(Reason.IN_USE, "It is in use.", usage) for usage in usages]
    assert deletion.is_by_servers(blockers) is expected


def test_a_soft_deleted_server_is_told_as_one() -> None:
    resource = cloud_image()
    usage = Usage((Server("s1", "web", "p1", is_soft_deleted=True),), "OwnProject")
    blocker = deletion.blocker(resource, glance_image(resource), usage)
    assert blocker is not None
    assert "web (s1, project p1, soft-deleted)" in blocker.message


def test_five_volumes_are_named_and_all_are_counted() -> None:
    resource = cloud_image()
    usage = Usage((), "AllProjects", VOLUMES)
    blocker = deletion.blocker(resource, glance_image(resource), usage)
    assert blocker is not None
    assert blocker.message.startswith(f"6 volumes were made from image {IMAGE}: root-0 (v0")
    assert "root-4 (v4, project p2) and 1 more; " in blocker.message
    assert used_by(usage, NOW).volumes == 6
    assert used_by(Usage((), "AllProjects"), NOW).volumes is None


@pytest.mark.parametrize(
    ("reason", "told", "advice"),
    [
        (Reason.CONFLICT, Reason.IN_USE, "once they are gone."),
        (Reason.FORBIDDEN, Reason.FORBIDDEN, "permission to delete it."),
    ],
)
def test_a_refusal_is_told_in_glances_words(reason: Reason, told: Reason, advice: str) -> None:
    blocker = deletion.refused(reason, "deleting image x: it has clones.", Usage((), "OwnProject"))
    assert blocker.reason is told
    assert blocker.message.startswith("deleting image x: it has clones. ")
    assert f"{advice} {deletion.HOW_TO_LET_GO}" in blocker.message


@pytest.mark.parametrize(
    ("count", "end"),
    [
        (1, "It is held."),
        (2, "It is held. 1 more image is also waiting."),
        (3, "It is held. 2 more images are also waiting."),
    ],
)
def test_the_first_blocker_is_told_and_the_others_are_counted(count: int, end: str) -> None:
    blockers = [deletion.Blocker(Reason.PROTECTED, "It is held.")] * count
    assert deletion.foremost(blockers).message == end
