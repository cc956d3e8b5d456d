"""The status of an ImageShare in each situation; pure, so that each can be tested."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from cloudimage.api import imageshare
from cloudimage.api.imageshare import ImageShare, ImageShareStatus, ShareSummary
from cloudimage.api.names import RETRY_ANNOTATION
from cloudimage.api.reasons import CREDENTIALS_REASONS, Reason, ShareCondition, ShareReason
from cloudimage.cloud.models import GlanceImage, Member
from cloudimage.controller.logic import conditions, retry
from cloudimage.controller.logic.conditions import Draft, is_true, with_conditions
from cloudimage.plaintext import plain
from cloudimage.shares.logic import members as sharing
from cloudimage.shares.logic.members import WantedProject

_MOST_NAMED = 5
_OTHERS_REASONS = frozenset(
    {
        *CREDENTIALS_REASONS,
        Reason.FORBIDDEN,
        Reason.INVALID_IMAGE,
        ShareReason.NOT_SHAREABLE,
        ShareReason.AMBIGUOUS,
        ShareReason.IMAGE_NOT_FOUND,
        ShareReason.VISIBILITY_CONFLICT,
        ShareReason.PROJECT_NOT_FOUND,
        ShareReason.NOT_OWNER,
        ShareReason.MEMBER_QUOTA_EXCEEDED,
        ShareReason.WRONG_PROJECT,
    }
)
"""A user has to act; all other reasons are expected to pass."""
_PASSING = frozenset({Reason.CLOUD_UNREACHABLE, Reason.CLOUD_ERROR, *CREDENTIALS_REASONS})
"""They say nothing about the members: what was shared still is."""


@dataclass(frozen=True, slots=True)
class Problem:
    """An obstacle, in one sentence."""

    reason: Reason | ShareReason
    message: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of reconciling an image and its members.

    Attributes:
        image: The image.
        wanted: The projects of the spec, by id.
        members: The current members, by the project's id.
        kept: Ids of the members that this object added and has not revoked.
        problem: Why some projects of the spec are not members.
        acceptance: Why the image could not be accepted for some projects.
        staying: A sentence about the members that stay while they use the image.
        keeper: Sentences about the CloudImage that keeps an image that is named by id or name.
    """

    image: GlanceImage
    wanted: Mapping[str, WantedProject]
    members: Mapping[str, Member]
    kept: frozenset[str]
    problem: Problem | None
    acceptance: Problem | None
    staying: str | None
    keeper: str | None = None


def worth_writing(old: ImageShareStatus, new: ImageShareStatus, period: float) -> bool:
    """Return whether a status is worth a write: a new last_sync_time alone is not, each time.

    Args:
        old: The one that stands.
        new: The one after a look.
        period: Seconds after which that time is worth one.
    """
    if old.last_sync_time is None or new.last_sync_time is None:
        return True
    same = new.model_copy(update={"last_sync_time": old.last_sync_time})
    elapsed = (new.last_sync_time - old.last_sync_time).total_seconds()
    return same.to_json() != old.to_json() or elapsed >= period / 2


def sharing_started(
    share: ImageShare, image_id: str, projects: tuple[str, ...], now: datetime
) -> ImageShareStatus:
    """Return the status written before members are changed: a deletion must know of them."""
    message = "The image is being shared."
    drafts = [Draft(ShareCondition.RECONCILING, "True", Reason.PROGRESSING, message)]
    if not is_true(share.status.conditions, ShareCondition.READY):
        drafts.append(Draft(ShareCondition.READY, "False", Reason.PROGRESSING, message))
    update = {"image_id": image_id, "projects": projects, "summary": _summary(share, None)}
    return _renewed(share, drafts, now, update)


def synced(share: ImageShare, outcome: Outcome, now: datetime) -> ImageShareStatus:
    """Return the status after a look that came to its end."""
    wanted, members = outcome.wanted, outcome.members
    ours = outcome.kept | (wanted.keys() & members.keys())
    names = sharing.names_of(share, wanted)
    accepted = sum(members[each].status == "accepted" for each in wanted if each in members)
    update = {
        "image_id": outcome.image.id,
        "projects": tuple(sorted(ours)),
        "members": _listed(outcome.image.id, ours & members.keys(), members, names),
        "summary": _summary(share, f"{accepted}/{len(wanted)}"),
        "last_sync_time": now,
    }
    drafts = [_ready(outcome), _accepted(outcome, names)]
    blocking = outcome.problem or outcome.acceptance
    if blocking:
        drafts.append(_kstatus(blocking.reason, _with_outlook(blocking)))
    elif outcome.staying:
        text = outcome.staying
        drafts.append(Draft(ShareCondition.RECONCILING, "True", ShareReason.IN_USE, text))
    return _renewed(share, drafts, now, update)


def _listed(
    image_id: str, ours: Iterable[str], members: Mapping[str, Member], names: Mapping[str, str]
) -> tuple[imageshare.Member, ...]:
    ordered = sorted(ours, key=lambda each: (names.get(each, ""), each))
    return tuple(
        imageshare.Member(
            project_id=plain(each),
            project_name=plain(names[each]) if names.get(each) is not None else None,
            status=members[each].status,
            since=members[each].updated_at,
            accept_command=None if members[each].status == "accepted" else accept(image_id),
        )
        for each in ordered
    )


def accept(image_id: str) -> str:
    """Return what a user of a consumer's project runs; see "image set" of the openstack client."""
    return f"openstack image set --accept {image_id}"


def _ready(outcome: Outcome) -> Draft:
    if outcome.problem:
        reason, message = outcome.problem.reason, _with_outlook(outcome.problem)
        return Draft(ShareCondition.READY, "False", reason, message)
    count = len(outcome.wanted)
    text = f"Image {outcome.image.id} is shared with {count} project{'' if count == 1 else 's'}."
    notes = (sharing.unchecked_text(outcome.wanted), outcome.keeper)
    text = " ".join([text, *filter(None, notes)])
    return Draft(ShareCondition.READY, "True", ShareReason.SHARED, text)


def _accepted(outcome: Outcome, names: Mapping[str, str]) -> Draft:
    command = accept(outcome.image.id)
    standing = {
        each: outcome.members[each].status if each in outcome.members else "absent"
        for each in outcome.wanted
    }
    if rejected := [each for each, status in standing.items() if status == "rejected"]:
        text = (
            f"Rejected by {_named(rejected, names)}. To accept it after all, a user of that "
            f"project runs: {command}"
        )
        return Draft(ShareCondition.ACCEPTED, "False", ShareReason.REJECTED, text)
    if outcome.acceptance:
        problem = outcome.acceptance
        return Draft(ShareCondition.ACCEPTED, "False", problem.reason, _with_outlook(problem))
    if waiting := [each for each, status in standing.items() if status != "accepted"]:
        text = (
            f"Not yet accepted by {_named(waiting, names)}. To accept it, a user of that "
            f"project runs: {command}"
        )
        return Draft(ShareCondition.ACCEPTED, "False", ShareReason.AWAITING_ACCEPTANCE, text)
    if outcome.problem and not standing:
        problem = outcome.problem
        return Draft(ShareCondition.ACCEPTED, "Unknown", problem.reason, _with_outlook(problem))
    text = "Every project of the spec has accepted the image."
    return Draft(ShareCondition.ACCEPTED, "True", ShareReason.ALL_ACCEPTED, text)


def _named(projects: list[str], names: Mapping[str, str]) -> str:
    shown = ", ".join(
        f"{names[each]} ({each})" if each in names else each for each in projects[:_MOST_NAMED]
    )
    more = len(projects) - _MOST_NAMED
    return f"project {shown}" if more <= 0 else f"project {shown} and {more} more"


def _summary(share: ImageShare, accepted: str | None) -> ShareSummary:
    standing = share.status.summary.accepted if share.status.summary else None
    return ShareSummary(image=sharing.image_text(share), accepted=accepted or standing)


def _with_outlook(problem: Problem) -> str:
    said = conditions.sentences(problem.message, None)
    return f"{said} {retry.outlook(retry.pauses(problem.reason))}"


def _kstatus(reason: Reason | ShareReason, message: str) -> Draft:
    stalled = reason in _OTHERS_REASONS
    kind = ShareCondition.STALLED if stalled else ShareCondition.RECONCILING
    return Draft(kind, "True", reason, message)


def blocked_by_cloud(share: ImageShare, problem: Problem, now: datetime) -> ImageShareStatus:
    """Return the status when the image, the cloud or its credentials stand in the way."""
    since = conditions.unreachable_since(share, problem.reason, now)
    outlook = retry.outlook(retry.pauses(problem.reason))
    text = f"{conditions.sentences(problem.message, since)} {outlook}"
    if since is not None:
        text = f"{text} {conditions.HOW_TO_LET_GO}"
    text = conditions.keep_first(share, ShareCondition.RECONCILING, problem.reason, text)
    drafts = [_kstatus(problem.reason, text)]
    ready = is_true(share.status.conditions, ShareCondition.READY)
    if not (ready and problem.reason in _PASSING):
        drafts.append(Draft(ShareCondition.READY, "False", problem.reason, text))
        drafts.append(Draft(ShareCondition.ACCEPTED, "Unknown", problem.reason, text))
    update = {"cloud_unreachable_since": since, "summary": _summary(share, None)}
    return _renewed(share, drafts, now, update)


def retrying(share: ImageShare, value: str, now: datetime) -> ImageShareStatus:
    """Return the status once the annotation's value is acted on."""
    message = f"Retrying, as requested by the annotation {RETRY_ANNOTATION}."
    drafts = [Draft(ShareCondition.RECONCILING, "True", Reason.PROGRESSING, message)]
    return _renewed(share, drafts, now, {"last_handled_retry": value})


def deletion_blocked(share: ImageShare, problem: Problem, now: datetime) -> ImageShareStatus:
    """Return the status of an object that is to go and cannot yet."""
    drafts = [
        Draft(ShareCondition.DELETION_BLOCKED, "True", problem.reason, problem.message),
        Draft(ShareCondition.RECONCILING, "True", Reason.DELETING, problem.message),
    ]
    since = conditions.unreachable_since(share, problem.reason, now)
    return _renewed(share, drafts, now, {"cloud_unreachable_since": since})


def nothing_left(share: ImageShare) -> ImageShareStatus:
    """Return the status of a deleted object that has nothing left in the cloud."""
    return share.status.model_copy(update={"projects": (), "members": ()})


def _renewed(
    share: ImageShare, drafts: list[Draft], now: datetime, update: Mapping[str, object]
) -> ImageShareStatus:
    return with_conditions(share.status, share.metadata.generation, drafts, now, update)
