"""The status of a CloudImage that follows its source; pure."""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Final

from cloudimage.api.cloudimage import CloudImage, SourceChangePolicy
from cloudimage.api.follow import Available, FollowStatus
from cloudimage.api.reasons import ConditionType, Reason
from cloudimage.api.resolved_source import ResolvedSource
from cloudimage.api.status import CloudImageStatus
from cloudimage.controller.logic.conditions import Draft, amended
from cloudimage.images.logic.desired import Desired
from cloudimage.images.logic.follow import Action, Build, Known, Verdict, judge
from cloudimage.images.logic.follow_schedule import SHORTEST, next_check, problem
from cloudimage.images.logic.schedule import is_updating, share_of, spec_changed
from cloudimage.sources.base import AskedBy, SpecSource
from cloudimage.transfer.contract import Latest

UNKNOWN_VERSION: Final = "an unknown version"

_HELD: Final = {
    Action.WAIT: Reason.UPDATE_HELD,
    Action.REPORT: Reason.UPDATE_REPORTED,
    Action.LEAVE: Reason.UPDATE_FAILED,
}
_OURS: Final = frozenset({ConditionType.FOLLOWING, ConditionType.UPDATE_AVAILABLE})
_SOON: Final = timedelta(hours=1)
_STALLED: Final = frozenset({ConditionType.STALLED})
_GONE_ON: Final = frozenset(
    {Reason.SOURCE_CHANGED, Reason.SOURCE_NOT_FOUND, Reason.CHECKSUM_MISMATCH}
)
"""What a transfer meets where the source has another version than it had when it was asked."""


def prepared(resource: CloudImage, now: datetime, *, fixed: str) -> CloudImageStatus:
    """Return the status as spec.follow wants it before a source is asked.

    Args:
        resource: The CloudImage.
        now: The present.
        fixed: Why its source cannot come to mean other bytes, as a sentence; empty: it can.
    """
    follow, status = resource.spec.follow, resource.status
    if follow is None:
        return _without(status.model_copy(update={"follow": None}), _OURS)
    wrong = problem(follow)
    if fixed:
        why = f"{fixed.removesuffix('.')}; otherwise remove spec.follow."
        draft = Draft(ConditionType.FOLLOWING, "False", Reason.NOT_FOLLOWABLE, why)
        told = _amended(resource, [draft], now, follow=FollowStatus())
        return _without(told, {ConditionType.UPDATE_AVAILABLE})
    if follow.suspend:
        reason, why = Reason.SUSPENDED, "spec.follow.suspend is true."
    elif wrong is not None:
        reason, why = Reason.INVALID_SCHEDULE, wrong
    else:
        return _asked_again(resource)
    drafts = [Draft(ConditionType.FOLLOWING, "False", reason, why)]
    state = (status.follow or FollowStatus()).model_copy(update={"next_check_time": None})
    if state.available is not None and not state.available.failed:
        held = f"The source has {state.available.version}, which is not applied now: {why}"
        drafts.append(Draft(ConditionType.UPDATE_AVAILABLE, "True", Reason.UPDATE_HELD, held))
    return _amended(resource, drafts, now, follow=state)


def _asked_again(resource: CloudImage) -> CloudImageStatus:
    """Return the status with a check that is due at once, if the spec is another."""
    before = resource.status.follow
    if before is None or not spec_changed(resource):
        return resource.status
    changes: dict[str, object] = {"next_check_time": None}
    if before.available is not None and before.available.failed:
        changes["available"] = None  # another spec may make an image of it
    return resource.status.model_copy(update={"follow": before.model_copy(update=changes)})


def found_by_look(resource: CloudImage, source: SpecSource, latest: Latest) -> ResolvedSource:
    """Return what a look has found, as the status has it.

    The first answer changes nothing of an image that is made from the same spec, or is known to be
    of the same bytes: to follow a source is no reason to make its image again.
    """
    return ResolvedSource(
        selector=source.followed() or "",
        version=latest.version,
        checksum=None if latest.checksum is None else str(latest.checksum),
        location=latest.location,
        values=latest.values,
        initial=source.selector() is None and _is_first(resource, latest),
    )


def _is_first(resource: CloudImage, latest: Latest) -> bool:
    status, checksum = resource.status, latest.checksum
    if status.resolved_source is not None:
        return False
    if status.image_id is None:
        return True
    if status.source and status.source.version == latest.version:
        return True
    known = status.source.checksums if status.source and status.source.checksums else {}
    return checksum is not None and known.get(checksum.algorithm) == checksum.value


def answered(
    resource: CloudImage,
    source: SpecSource,
    known: ResolvedSource | None,
    found: ResolvedSource,
    now: datetime,
) -> CloudImageStatus:
    """Return the status once a source has said which bytes it means.

    Args:
        resource: The CloudImage.
        source: Its source.
        known: What it meant before, as far as that is known.
        found: What it means now.
        now: The present.
    """
    follow, status = resource.spec.follow, resource.status
    if follow is None or follow.suspend or problem(follow) is not None:
        return status.model_copy(update={"resolved_source": found})
    state = status.follow or FollowStatus()
    present = _present(resource, source, state.previous or known, found)
    if state.previous and known and _build(known) == _build(found):
        verdict = Verdict(Action.APPLY)  # it is being applied
    else:
        about = Known(present, state.available, _earlier(status))
        verdict = judge(follow, about, _build(found), source.is_older, now)
    resolved, previous = _taken(verdict, state.previous, known, found)
    if present is None:
        previous = None  # nothing serves that could be meant again
    due = next_check(follow, now, share_of(resource))
    new = FollowStatus(
        last_check_time=now,
        next_check_time=min(due, verdict.until) if verdict.until else due,
        version=present.version if present else None,
        available=None if verdict.action is Action.APPLY else verdict.available,
        previous=previous,
    )
    made = resolved if previous else None
    drafts = [_following(verdict, source, found), _update(verdict, present, found, made)]
    told = _amended(resource, drafts, now, follow=new, resolved_source=resolved)
    # What has failed for good was an image of other bytes.
    return told if resolved == known else _without(told, _STALLED)


def _present(
    resource: CloudImage,
    source: SpecSource,
    serving: ResolvedSource | None,
    found: ResolvedSource,
) -> Build | None:
    """Return what is served; None: there is no image yet, or the spec means another one.

    Args:
        resource: The CloudImage.
        source: Its source.
        serving: What the image that serves was made of, as far as that is known.
        found: What the source has now.
    """
    status = resource.status
    if status.image_id is None and not status.revisions:
        return None
    if serving is not None:
        return _build(serving)
    # Whoever changes the spec wants what it says, at once.
    if found.initial or source.selector() is not None or status.resolved_source is not None:
        return None
    return Build((status.source.version if status.source else None) or UNKNOWN_VERSION)


def _taken(
    verdict: Verdict,
    previous: ResolvedSource | None,
    known: ResolvedSource | None,
    found: ResolvedSource,
) -> tuple[ResolvedSource | None, ResolvedSource | None]:
    """Return what is meant now, and what is meant again if no image can be made of that.

    Args:
        verdict: What to do about what was found.
        previous: What serves while an update is made; None: none is made.
        known: What was meant before; it serves, unless something else is said to.
        found: What the source has now.
    """
    if previous is not None and verdict.action is Action.NOTHING:
        return previous, None  # the publisher has taken the update back
    if known is None:
        # Also what is served already: what it means is now known.
        return (found if verdict.action in {Action.APPLY, Action.NOTHING} else None), None
    if verdict.action is not Action.APPLY or _build(known) == _build(found):
        return known, previous
    # What is replaced before an image was made of it never served.
    return found, previous or known


def _build(source: ResolvedSource) -> Build:
    return Build(source.version, source.checksum)


def _earlier(status: CloudImageStatus) -> frozenset[Build]:
    """Return what earlier images were made of."""
    return frozenset(
        Build(each.version, each.source_checksum)
        for each in status.revisions
        if each.version and not each.current
    )


def _following(verdict: Verdict, source: SpecSource, found: ResolvedSource) -> Draft:
    if verdict.action is Action.REFUSE:
        return Draft(ConditionType.FOLLOWING, "False", Reason.SOURCE_WENT_BACK, verdict.why)
    why = f"The source has {found.version}."
    if source.asked_by() is AskedBy.CLOCK:
        why = f"The last snapshot was due at {found.version}."
    return Draft(ConditionType.FOLLOWING, "True", Reason.ASKED, why)


def _update(
    verdict: Verdict, present: Build | None, found: ResolvedSource, made: ResolvedSource | None
) -> Draft:
    if verdict.action in _HELD:
        kind = ConditionType.UPDATE_AVAILABLE
        return Draft(kind, "True", _HELD[verdict.action], verdict.why)
    if present is None:
        return _up_to_date(f"Nothing newer than {found.version} is known.")
    if made is not None or verdict.action is Action.APPLY:
        return _updating(made or found)
    return _up_to_date(_serves(present.version))


def _updating(meant: ResolvedSource) -> Draft:
    why = f"An image of {meant.version} is being made."
    return Draft(ConditionType.UPDATE_AVAILABLE, "True", Reason.UPDATING, why)


def _serves(version: str) -> str:
    return f"{version} is served, and nothing newer is known."


def _up_to_date(why: str) -> Draft:
    return Draft(ConditionType.UPDATE_AVAILABLE, "False", Reason.UP_TO_DATE, why)


def updated(
    resource: CloudImage, desired: Desired, status: CloudImageStatus, now: datetime
) -> CloudImageStatus:
    """Return the status once the image that is wanted serves: of the version that was applied.

    Args:
        resource: The CloudImage.
        desired: What it wants, which serves.
        status: As it is to be otherwise.
        now: The present.
    """
    follow, resolved, source = status.follow, status.resolved_source, desired.source
    if follow is None or resolved is None or source is None:
        return status
    if resolved.selector != source.followed():
        return status
    done = follow.model_copy(update={"previous": None, "version": resolved.version})
    changed = status.model_copy(update={"follow": done})
    if not is_updating(status):
        return changed
    draft = _up_to_date(_serves(resolved.version))
    return _with_drafts(resource, changed, [draft], now)


def unanswered(
    resource: CloudImage, reason: Reason, message: str, now: datetime
) -> CloudImageStatus:
    """Return the status when the source could not say which bytes it means."""
    follow = resource.spec.follow
    if follow is None or follow.suspend or problem(follow) is not None:
        return resource.status
    due = next_check(follow, now, share_of(resource))
    # What may pass soon must not cost a month, or the window in which a version is applied.
    due = min(due, now + min(max((due - now) / 10, SHORTEST), _SOON))
    state = (resource.status.follow or FollowStatus()).model_copy(update={"next_check_time": due})
    draft = Draft(ConditionType.FOLLOWING, "False", reason, message)
    return _amended(resource, [draft], now, follow=state)


def asked_after(resource: CloudImage, reason: Reason) -> CloudImage:
    """Return the object after a transfer failed, whose source is asked at once if it has gone on.

    Args:
        resource: The CloudImage.
        reason: Why the transfer failed.
    """
    status = resource.status
    if reason not in _GONE_ON:
        return resource
    if resource.spec.follow is not None and status.follow is not None:
        due = status.follow.model_copy(update={"next_check_time": None})
        new = status.model_copy(update={"follow": due})
    elif resource.spec.follow is None and may_forget(resource):
        new = status.model_copy(update={"resolved_source": None})
    else:
        return resource
    return resource.model_copy(update={"status": new})


def may_forget(resource: CloudImage) -> bool:
    """Return whether what a source meant may be forgotten, and its newest build taken."""
    accepts = resource.spec.source_change_policy is SourceChangePolicy.ACCEPT
    return accepts or resource.status.image_id is None


def version_to_be_met(resource: CloudImage, desired: Desired) -> str | None:
    """Return what a source's store must call the bytes for an image of them; None: whatever."""
    resolved, source, spec = resource.status.resolved_source, desired.source, resource.spec
    if resolved is None or source is None or resolved.selector != source.followed():
        return None
    pinned = spec.follow is not None or spec.source_change_policy is SourceChangePolicy.REFUSE
    return resolved.version if pinned and source.asked_by() is AskedBy.LOOK else None


def made(resource: CloudImage) -> datetime | None:
    """Return when the image that is served was made, or None if nothing is served or followed."""
    if resource.spec.follow is None:
        return None
    return next((each.created for each in resource.status.revisions if each.current), None)


def given_up(resource: CloudImage, message: str, now: datetime) -> CloudImageStatus | None:
    """Return the status once no image could be made of a new version, for a reason that stays.

    What served before is meant again; the version is left until the source has another.

    Returns:
        None: There was no version before, or the source is not followed.
    """
    follow, tried = resource.status.follow, resource.status.resolved_source
    if resource.spec.follow is None or follow is None or tried is None or follow.previous is None:
        return None
    left = Available(version=tried.version, checksum=tried.checksum, since=now, failed=True)
    state = follow.model_copy(
        update={"available": left, "version": follow.previous.version, "previous": None}
    )
    why = f"No image could be made of {tried.version}: {message}"
    draft = Draft(ConditionType.UPDATE_AVAILABLE, "True", Reason.UPDATE_FAILED, why)
    return _amended(resource, [draft], now, follow=state, resolved_source=follow.previous)


def _without(status: CloudImageStatus, kinds: Collection[str]) -> CloudImageStatus:
    kept = tuple(each for each in status.conditions if each.type not in kinds)
    return status.model_copy(update={"conditions": kept})


def _amended(
    resource: CloudImage, drafts: Iterable[Draft], now: datetime, **changes: object
) -> CloudImageStatus:
    return _with_drafts(resource, resource.status.model_copy(update=changes), drafts, now)


def _with_drafts(
    resource: CloudImage, status: CloudImageStatus, drafts: Iterable[Draft], now: datetime
) -> CloudImageStatus:
    conditions = amended(status.conditions, drafts, resource.metadata.generation, now)
    return status.model_copy(update={"conditions": conditions})
