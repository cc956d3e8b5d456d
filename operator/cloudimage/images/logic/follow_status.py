"""The status of a CloudImage that follows its source; pure."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Final

from cloudimage.api.cloudimage import CloudImage, SourceChangePolicy
from cloudimage.api.follow import Available, FollowStatus
from cloudimage.api.reasons import ConditionType, Reason
from cloudimage.api.resolved_source import ResolvedSource
from cloudimage.api.status import CloudImageStatus
from cloudimage.controller.logic.conditions import Draft, amended
from cloudimage.images.logic.desired import Desired
from cloudimage.images.logic.follow import Action, Build, Known, Verdict, judge
from cloudimage.images.logic.follow_schedule import next_check, problem
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
        reason, why = Reason.NOT_FOLLOWABLE, f"{fixed} Or remove spec.follow."
    elif follow.suspend:
        reason, why = Reason.SUSPENDED, "spec.follow.suspend is true."
    elif wrong is not None:
        reason, why = Reason.INVALID_SCHEDULE, wrong
    else:
        return _asked_again(resource)
    draft = Draft(ConditionType.FOLLOWING, "False", reason, why)
    state = (status.follow or FollowStatus()).model_copy(update={"next_check_time": None})
    return _amended(resource, [draft], now, follow=state)


def _asked_again(resource: CloudImage) -> CloudImageStatus:
    """Return the status with a check that is due at once, if the spec is another."""
    before = resource.status.follow
    if before is None or not spec_changed(resource):
        return resource.status
    follow = before.model_copy(update={"next_check_time": None})
    return resource.status.model_copy(update={"follow": follow})


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
    if follow is None:
        return status.model_copy(update={"resolved_source": found})
    state = status.follow or FollowStatus()
    served = _served(resource, known, found)
    present = None if served is None else Build(served, known.checksum if known else None)
    about = Known(present, state.available, _earlier(status))
    verdict = judge(follow, about, _build(found), source.is_older, now)
    resolved = found if _is_taken(verdict, known, found) else known
    due = next_check(follow, now, share_of(resource))
    # What is replaced before an image was made of it never served.
    replaces = verdict.action is Action.APPLY and served is not None
    previous = (state.previous or known) if replaces else state.previous
    new = FollowStatus(
        last_check_time=now,
        next_check_time=min(due, verdict.until) if verdict.until else due,
        version=resolved.version if resolved else served,
        available=None if verdict.action is Action.APPLY else verdict.available,
        previous=previous,
    )
    drafts = [_following(verdict, source, found), _update(verdict, served, found)]
    told = _amended(resource, drafts, now, follow=new, resolved_source=resolved)
    # What has failed for good was an image of other bytes.
    return told if resolved == known else _without(told, _STALLED)


def _served(
    resource: CloudImage, known: ResolvedSource | None, found: ResolvedSource
) -> str | None:
    """Return the version that is served; None: there is no image yet, or it is this one."""
    status = resource.status
    if status.image_id is None and not status.revisions:
        return None
    if known is not None:
        return known.version
    if found.initial:
        return None
    return (status.source.version if status.source else None) or UNKNOWN_VERSION


def _build(source: ResolvedSource) -> Build:
    return Build(source.version, source.checksum)


def _earlier(status: CloudImageStatus) -> frozenset[Build]:
    """Return what earlier images were made of."""
    return frozenset(
        Build(each.version, each.source_checksum)
        for each in status.revisions
        if each.version and not each.current
    )


def _is_taken(verdict: Verdict, known: ResolvedSource | None, found: ResolvedSource) -> bool:
    if known is None:
        # Also what is served already: what it means is now known.
        return verdict.action in {Action.APPLY, Action.NOTHING}
    same = (known.version, known.checksum) == (found.version, found.checksum)
    return verdict.action is Action.APPLY and not same


def _following(verdict: Verdict, source: SpecSource, found: ResolvedSource) -> Draft:
    if verdict.action is Action.REFUSE:
        return Draft(ConditionType.FOLLOWING, "False", Reason.SOURCE_WENT_BACK, verdict.why)
    why = f"The source has {found.version}."
    if source.asked_by() is AskedBy.CLOCK:
        why = f"The last snapshot was due at {found.version}."
    return Draft(ConditionType.FOLLOWING, "True", Reason.ASKED, why)


def _update(verdict: Verdict, served: str | None, found: ResolvedSource) -> Draft:
    kind = ConditionType.UPDATE_AVAILABLE
    if verdict.action in _HELD:
        return Draft(kind, "True", _HELD[verdict.action], verdict.why)
    if verdict.action is Action.APPLY and served is not None:
        return Draft(kind, "True", Reason.UPDATING, f"An image of {found.version} is being made.")
    if served is None:
        return _up_to_date(f"Nothing newer than {found.version} is known.")
    return _up_to_date(_serves(served))


def _serves(version: str) -> str:
    return f"{version} is served, and nothing newer is known."


def _up_to_date(why: str) -> Draft:
    return Draft(ConditionType.UPDATE_AVAILABLE, "False", Reason.UP_TO_DATE, why)


def updated(resource: CloudImage, status: CloudImageStatus, now: datetime) -> CloudImageStatus:
    """Return the status of an image that serves once it is of the version that was applied.

    Args:
        resource: The CloudImage.
        status: As it is to be otherwise.
        now: The present.
    """
    if status.follow is None or status.resolved_source is None or not is_updating(status):
        return status
    changed = status.model_copy(
        update={"follow": status.follow.model_copy(update={"previous": None})}
    )
    draft = _up_to_date(_serves(status.resolved_source.version))
    return _with_drafts(resource, changed, [draft], now)


def unanswered(
    resource: CloudImage, reason: Reason, message: str, now: datetime
) -> CloudImageStatus:
    """Return the status when the source could not say which bytes it means."""
    follow = resource.spec.follow
    if follow is None:
        return resource.status
    due = next_check(follow, now, share_of(resource))
    state = (resource.status.follow or FollowStatus()).model_copy(update={"next_check_time": due})
    draft = Draft(ConditionType.FOLLOWING, "False", reason, message)
    return _amended(resource, [draft], now, follow=state)


def asked_after(resource: CloudImage, reason: Reason) -> CloudImage:
    """Return the object after a transfer failed, whose source is asked at once if it has gone on.

    Args:
        resource: The CloudImage.
        reason: Why the transfer failed.
    """
    follow = resource.status.follow
    if follow is None or resource.spec.follow is None or reason not in _GONE_ON:
        return resource
    due = follow.model_copy(update={"next_check_time": None})
    status = resource.status.model_copy(update={"follow": due})
    return resource.model_copy(update={"status": status})


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
