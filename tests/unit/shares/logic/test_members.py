"""Decisions about ImageShares: who may share, who becomes a member, and who no longer is one."""

from datetime import timedelta
from typing import Any

import pytest

from cloudimage.api.imageshare import ImageShare
from cloudimage.api.reasons import Reason, ShareCondition, ShareReason
from cloudimage.api.references import CloudCredentialsRef
from cloudimage.cloud.models import GlanceImage, Member, Project, Server
from cloudimage.controller.logic.conditions import find
from cloudimage.credentials.logic import guard
from cloudimage.credentials.logic import guard as holding
from cloudimage.images.logic import deletion
from cloudimage.shares.logic import members as sharing
from cloudimage.shares.logic import status as share_status
from cloudimage.shares.logic.members import WantedProject
from cloudimage.shares.logic.status import Outcome, Problem
from support.resources import NOW, cloud_image, glance_image, image_share

IMAGE_ID = "11111111-1111-4111-8111-111111111111"
OTHER_UID = "6f2f6c1e-0000-4000-8000-000000000002"


def glance(visibility: str) -> GlanceImage:
    return glance_image(cloud_image(), visibility=visibility)


def member(project: str, status: Any = "pending") -> Member:
    return Member(project, status, NOW)


def wanted(*projects: str) -> dict[str, WantedProject]:
    return {each: WantedProject(Project(each, f"name of {each}"), None) for each in projects}


@pytest.mark.parametrize(
    ("namespace", "allowed", "permitted"),
    [
        ("images", [], True),
        ("team", [], False),
        ("team", ["other"], False),
        ("team", ["other", "team"], True),
    ],
)
def test_who_may_share(namespace: str, allowed: list[str], permitted: bool) -> None:
    image = cloud_image(shareableFrom={"namespaces": allowed})
    ref = {"name": "debian-12", "namespace": "images"}
    share = image_share(metadata={"namespace": namespace}, imageRef=ref)
    assert sharing.is_permitted(share, image) is permitted
    assert sharing.refers_to(share, image) is permitted
    gave = image_share({"projects": ["web"]}, {"namespace": namespace}, imageRef=ref)
    assert sharing.refers_to(gave, image)
    other = image_share({"projects": ["web"]}, imageRef={"name": "debian-13"})
    assert not sharing.refers_to(other, image)


@pytest.mark.parametrize(
    ("declared", "found", "made_shared", "conflict"),
    [
        (None, "private", True, None),
        (None, "shared", False, None),
        (None, "community", False, "has visibility community"),
        (None, "public", False, "has visibility public"),
        ("shared", "private", True, None),
        ("shared", "shared", False, None),
        ("private", "private", False, "spec.image.visibility is private"),
        ("private", "shared", False, "spec.image.visibility is private"),
        ("community", "community", False, "spec.image.visibility is community"),
    ],
)
def test_only_what_is_left_open_becomes_shared(
    declared: str | None, found: str, made_shared: bool, conflict: str | None
) -> None:
    owner = cloud_image(image={"visibility": declared} if declared else {})
    assert sharing.is_made_shared(glance(found), owner) is made_shared
    text = sharing.conflict(glance(found), owner)
    assert (text is None) is (conflict is None)
    assert (conflict or "") in (text or "")


@pytest.mark.parametrize(
    "owner",
    [
        None,
        cloud_image(managementPolicy="Unmanaged", source=None, image={"visibility": "shared"}),
    ],
    ids=["nobody's", "observed"],
)
def test_an_image_that_is_not_ours_to_change_is_not_made_shared(owner: Any) -> None:
    assert not sharing.is_made_shared(glance("private"), owner)
    assert f"openstack image set --shared {IMAGE_ID}" in (
        sharing.conflict(glance("private"), owner) or ""
    )
    assert sharing.conflict(glance("shared"), owner) is None


@pytest.mark.parametrize(
    ("policy", "gave", "present", "certain", "add", "take"),
    [
        ("Merge", [], [], True, ("a", "b"), ()),
        ("Merge", [], ["a"], True, ("b",), ()),
        ("Merge", ["a", "b"], ["a", "b", "stranger"], True, (), ()),
        ("Exact", ["a", "b"], ["a", "b", "stranger"], True, (), ("stranger",)),
        ("Merge", ["a", "b", "gone"], ["a", "b", "gone"], True, (), ("gone",)),
        # A member of an earlier revision, perhaps.
        ("Merge", ["a", "b", "gone"], ["a", "b"], True, (), ("gone",)),
        ("Exact", ["a", "gone"], ["a", "gone", "stranger"], False, ("b",), ()),
        ("Merge", ["a", "b"], ["b"], True, ("a",), ()),
    ],
)
def test_who_comes_and_who_goes(
    policy: str,
    gave: list[str],
    present: list[str],
    certain: bool,
    add: tuple[str, ...],
    take: tuple[str, ...],
) -> None:
    share = image_share({"projects": gave}, memberPolicy=policy)
    changes = sharing.changes(share, ("a", "b"), present, certain=certain)
    assert (changes.add, changes.take) == (add, take)


def test_only_for_those_who_said_nothing_is_it_accepted() -> None:
    ref = CloudCredentialsRef(secret_name="openstack", cloud_name="web")
    given = {
        each: WantedProject(Project(each), ref) for each in ("new", "said no", "said yes", "absent")
    }
    members = {
        "new": member("new"),
        "said no": member("said no", "rejected"),
        "said yes": member("said yes", "accepted"),
        "theirs": member("theirs"),
    }
    assert sharing.to_accept_for({**given, **wanted("theirs")}, members) == {"new": ref}


def test_what_others_give_stays_unless_they_leave_too() -> None:
    share = image_share({"imageID": IMAGE_ID, "projects": ["a", "b"]})

    def other(metadata: dict[str, Any] | None = None, **status: Any) -> ImageShare:
        given = {"imageID": IMAGE_ID, "projects": ["b", "c"], **status}
        return image_share(given, {"uid": OTHER_UID, **(metadata or {})})

    leaving = other({"deletionTimestamp": "2026-01-02T03:04:05Z"})
    assert sharing.counted(share, [share], [IMAGE_ID]) == set()
    assert sharing.counted(share, [share, other()], [IMAGE_ID]) == {"b", "c"}
    assert sharing.counted(share, [share, leaving], [IMAGE_ID]) == set()
    assert sharing.counted(share, [other(imageID="2")], [IMAGE_ID]) == set()


def test_what_was_given_is_never_forgotten() -> None:
    share = image_share({"projects": ["a", "b"]})
    assert sharing.recorded(share, ("b", "c")) == ("a", "b", "c")
    image = cloud_image(
        status={
            "imageID": "new",
            "revisions": [
                {"imageID": "new", "digest": "", "current": True},
                {"imageID": "old", "digest": "", "current": False},
            ],
        }
    )
    assert sharing.all_revisions("new", image) == ("new", "old")
    assert sharing.all_revisions("one", None) == ("one",)


@pytest.mark.parametrize(
    ("pending_for", "projects", "seconds"),
    [
        (None, [{"id": "a"}], 1800),
        (0, [{"id": "a"}], 15),
        (600, [{"id": "a"}], 60),
        (864000, [{"id": "a"}], 1800),
        (None, [{"domain": "d"}], 300),
        (None, [{"domain": "d", "name": "n"}], 1800),
        (0, [{"domain": "d"}], 15),
    ],
)
def test_an_answer_is_looked_for_often_while_the_question_is_new(
    pending_for: int | None, projects: list[dict[str, str]], seconds: float
) -> None:
    since = NOW - timedelta(seconds=pending_for or 0)
    asked = {"projectID": "a", "status": "pending", "since": since}
    answered = {"projectID": "b", "status": "accepted", "since": NOW}
    members = [answered] if pending_for is None else [asked, answered]
    share = image_share({"members": members}, projects=projects)
    assert sharing.next_look(share, 1800, NOW) == seconds


def test_many_whose_answers_are_awaited_take_turns() -> None:
    asked = {"projectID": "a", "status": "pending", "since": NOW}
    share = image_share({"members": [asked]})
    assert sharing.next_look(share, 8400, NOW, beside=21) == 600
    assert sharing.next_look(share, 1800, NOW, beside=1000) == 1800


def test_a_share_of_which_nothing_was_given_needs_no_cloud() -> None:
    assert guard.needs_no_cloud(image_share())
    assert not guard.needs_no_cloud(image_share({"projects": ["a"]}))
    forced = {"annotations": {"cloudimage.dev/force-delete": "true"}}
    assert guard.needs_no_cloud(image_share({"projects": ["a"]}, forced))


def test_users_are_named_and_the_many_counted() -> None:
    servers = [Server(f"id-{n}", f"vm-{n}", "p") for n in range(7)]
    text = sharing.users({"p": servers}, {"p": "web"})
    assert "project web: vm-0 (id-0)" in text
    assert "vm-4" in text
    assert "vm-5" not in text
    many = sharing.users({f"p{n}": servers[:1] for n in range(7)}, {})
    assert "and 2 more projects" in many


def synced(share: ImageShare, **changes: Any) -> Any:
    values: dict[str, Any] = {
        "image": glance("shared"),
        "wanted": wanted("a", "b"),
        "members": {"a": member("a", "accepted"), "b": member("b", "accepted")},
        "kept": frozenset({"a", "b"}),
        "problem": None,
        "acceptance": None,
        "staying": None,
        **changes,
    }
    return share_status.synced(share, Outcome(**values), NOW)


def said(status: Any, kind: ShareCondition) -> tuple[str, str, str]:
    condition = find(status.conditions, kind)
    assert condition is not None
    return condition.status, condition.reason, condition.message


def test_all_is_well_when_all_are_members_and_have_accepted() -> None:
    status = synced(image_share())
    assert said(status, ShareCondition.READY)[:2] == ("True", "Shared")
    assert said(status, ShareCondition.ACCEPTED)[:2] == ("True", "AllAccepted")
    assert [each.type for each in status.conditions] == ["Ready", "Accepted"]
    assert status.summary.accepted == "2/2"
    assert status.projects == ("a", "b")
    assert {each.accept_command for each in status.members} == {None}


@pytest.mark.parametrize(
    ("states", "acceptance", "reason", "words"),
    [
        (("accepted", "pending"), None, "AwaitingAcceptance", "name of b (b)"),
        (("rejected", "pending"), None, "Rejected", "name of a (a)"),
        (
            ("accepted", "pending"),
            Problem(ShareReason.WRONG_PROJECT, "of another"),
            "WrongProject",
            "of another.",
        ),
    ],
)
def test_who_has_not_accepted_is_told_with_what_to_run(
    states: tuple[str, str], acceptance: Problem | None, reason: str, words: str
) -> None:
    members = {name: member(name, state) for name, state in zip("ab", states, strict=True)}
    status = synced(image_share(), members=members, acceptance=acceptance)
    assert said(status, ShareCondition.READY)[0] == "True"
    assert said(status, ShareCondition.ACCEPTED)[:2] == ("False", reason)
    assert words in said(status, ShareCondition.ACCEPTED)[2]
    assert (find(status.conditions, ShareCondition.STALLED) is not None) is bool(acceptance)
    commands = {each.project_id: each.accept_command for each in status.members}
    assert commands["b"] == f"openstack image set --accept {IMAGE_ID}"


def test_what_could_not_be_given_is_not_ready_and_what_was_is_recorded() -> None:
    full = Problem(ShareReason.MEMBER_QUOTA_EXCEEDED, "no more than one")
    members = {"a": member("a")}
    status = synced(image_share(), members=members, kept=frozenset({"old"}), problem=full)
    assert said(status, ShareCondition.READY)[:2] == ("False", "MemberQuotaExceeded")
    assert said(status, ShareCondition.STALLED)[0] == "True"
    # A member from an earlier revision is not one of this image, and is still to be revoked.
    assert status.projects == ("a", "old")
    assert [each.project_id for each in status.members] == ["a"]
    assert status.summary.accepted == "0/2"


def test_of_projects_that_cannot_be_looked_up_nobody_says_that_they_accepted() -> None:
    hidden = Problem(Reason.FORBIDDEN, "listing projects is not allowed")
    status = synced(image_share(), wanted={}, members={}, kept=frozenset(), problem=hidden)
    assert said(status, ShareCondition.ACCEPTED)[:2] == ("Unknown", "Forbidden")


def test_those_who_keep_it_while_they_use_it_are_told() -> None:
    status = synced(image_share(), staying="Servers still use it.")
    assert said(status, ShareCondition.RECONCILING) == ("True", "InUse", "Servers still use it.")
    assert said(status, ShareCondition.READY)[0] == "True"


@pytest.mark.parametrize(
    ("reason", "kind", "ready"),
    [
        (Reason.CLOUD_UNREACHABLE, ShareCondition.RECONCILING, "True"),
        (Reason.SECRET_NOT_FOUND, ShareCondition.STALLED, "True"),
        (ShareReason.IMAGE_NOT_READY, ShareCondition.RECONCILING, "False"),
        (ShareReason.NOT_SHAREABLE, ShareCondition.STALLED, "False"),
        (ShareReason.VISIBILITY_CONFLICT, ShareCondition.STALLED, "False"),
    ],
)
def test_trouble(reason: Any, kind: ShareCondition, ready: str) -> None:
    standing = image_share().model_copy(update={"status": synced(image_share())})
    status = share_status.blocked_by_cloud(standing, Problem(reason, "trouble"), NOW)
    assert said(status, kind)[:2] == ("True", reason)
    assert said(status, kind)[2].startswith("trouble.")
    assert said(status, ShareCondition.READY)[0] == ready
    assert (said(status, ShareCondition.ACCEPTED)[0] == "Unknown") is (ready == "False")
    assert (status.cloud_unreachable_since == NOW) is (reason is Reason.CLOUD_UNREACHABLE)


def test_a_look_alone_is_no_news_until_half_the_period_is_over() -> None:
    old = synced(image_share())
    soon = old.model_copy(update={"last_sync_time": NOW + timedelta(seconds=10)})
    late = old.model_copy(update={"last_sync_time": NOW + timedelta(seconds=1000)})
    assert not share_status.worth_writing(old, soon, 1800)
    assert share_status.worth_writing(old, late, 1800)
    assert share_status.worth_writing(old, soon.model_copy(update={"image_id": "2"}), 1800)
    assert share_status.worth_writing(image_share().status, old, 1800)


def test_shares_hold_a_cloudimage_back() -> None:
    blocker = deletion.shared([image_share(metadata={"name": f"s{n}"}) for n in range(7)])
    assert blocker.reason is Reason.SHARED
    assert "images/s0, " in blocker.message
    assert "and 2 more" in blocker.message


def test_a_share_needs_the_secret_it_names_and_none_with_a_cloudimage() -> None:
    held = {"finalizers": ["cloudimage.dev/finalizer"]}
    ref = {"secretName": "openstack", "cloudName": "images"}
    own = {"cloudCredentialsRef": ref, "id": IMAGE_ID}
    assert holding.needed(image_share(metadata=held, image=own)) == {"openstack"}
    assert holding.needed(image_share(image=own)) == set()
    assert holding.needed(image_share(metadata=held)) == set()
    deleted = {**held, "deletionTimestamp": "2026-01-02T03:04:05Z"}
    assert holding.needed(image_share(metadata=deleted, image=own)) == set()
    gave = image_share({"projects": ["a"]}, deleted, image=own)
    assert holding.needed(gave) == {"openstack"}
