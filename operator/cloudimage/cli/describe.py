"""Describes an object as text: its state, why, what blocks it, and what to do; pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from cloudimage.api.boot_test import BootTestStatus
from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.follow import Follow, FollowStatus
from cloudimage.api.imageshare import ImageShare
from cloudimage.api.kinds import kind_of
from cloudimage.api.meta import Condition, Resource, plain_model
from cloudimage.api.names import FINALIZER
from cloudimage.api.reasons import ConditionType, Reason, ShareReason, member_docs
from cloudimage.cli.output import aligned
from cloudimage.cli.state import State, is_seen, state_of, why
from cloudimage.controller.logic.conditions import ABNORMAL, find, is_true
from cloudimage.plaintext import plain
from cloudimage.shares.logic.members import image_text
from cloudimage.sizes import quantity
from cloudimage.transfer.contract import Stage

_LAST_EVENTS = 10
_SIGHT = {
    "AllProjects": "the credentials can see those of all projects",
    "OwnProject": "the credentials can see only those of their own project",
    "NoCompute": "the cloud has no compute service",
    "Refused": "the compute service lists none for these credentials",
}


@dataclass(frozen=True, slots=True)
class Event:
    """A Kubernetes Event about the object."""

    when: datetime | None
    type: str
    reason: str
    message: str


def describe(
    resource: Resource,
    shares: Sequence[ImageShare] | None,
    events: Sequence[Event] | None,
    now: datetime,
) -> str:
    """Return the text about an object.

    Args:
        resource: A CloudImage or an ImageShare.
        shares: The ImageShares of a CloudImage, or None if the user may not read them.
        events: About the object, or None if the user may not read them.
        now: The present, for ages.
    """
    resource = plain_model(resource)
    shares = None if shares is None else [plain_model(share) for share in shares]
    sections = [
        "\n".join(_head(resource, now)),
        _section("Why, and what to do", _conditions(resource)),
        *_own_sections(resource, shares, now),
        _section("Last Events", _events(events, now)),
    ]
    return "\n\n".join(each for each in sections if each)


def _head(resource: Resource, now: datetime) -> Iterator[str]:
    metadata = resource.metadata
    yield f"{kind_of(type(resource)).name} {metadata.namespace}/{metadata.name}"
    yield f"State:  {state_line(resource)}"
    if isinstance(resource, CloudImage):
        ref = resource.spec.cloud_credentials_ref
        yield f"Cloud:  {ref.cloud_name} of Secret {ref.secret_name}"
        yield f"Image:  {_image_line(resource)}"
        if verified := find(resource.status.conditions, ConditionType.VERIFIED):
            yield f"Source: {_proof(verified)}"
        if resource.status.boot_test is not None:
            yield f"Boot:   {_boot_test(resource.status.boot_test, now)}"
        if resource.spec.follow is not None:
            yield f"Follow: {_following(resource, resource.spec.follow, now)}"
    elif isinstance(resource, ImageShare):
        yield f"Image:  {image_text(resource)} ({resource.status.image_id or 'no id yet'})"


def state_line(resource: Resource) -> str:
    """Return the object's state, in one line."""
    reason, message = why(resource)
    state = state_of(resource)
    if resource.status.observed_generation is None:
        return (
            "Not reconciled yet. If this lasts, check that the operator runs and that it watches "
            "this namespace."
        )
    if resource.metadata.deletion_timestamp is not None:
        held = f", blocked by {reason}" if state is State.STALLED else ""
        return f"Being deleted{held}."
    if not is_seen(resource):
        return "The operator has not seen the latest change yet."
    if state is State.WORKING:
        return f"Not ready yet: {standing(resource) or 'the operator is working on it'}."
    if state is State.STALLED and is_true(resource.status.conditions, ConditionType.READY):
        return f"Stalled: {reason}. The previous state stays in use."
    return f"{state}: {message if state is State.READY else reason}".rstrip(".") + "."


def standing(resource: Resource) -> str:
    """Return the progress of an object that is not Ready; empty if unknown."""
    words = (telling_reason(resource), progress_text(resource))
    return ", ".join(each for each in words if each)


def telling_reason(resource: Resource) -> str:
    """Return the reason for the object's state, unless it says no more than the progress does."""
    reason, _ = why(resource)
    return "" if reason in {Reason.PROGRESSING, Reason.PENDING} else reason


def progress_text(resource: Resource) -> str:
    """Return the progress of the transfer or of the members; empty if unknown."""
    if isinstance(resource, ImageShare):
        summary = resource.status.summary
        return f"{summary.accepted} accepted" if summary and summary.accepted else ""
    if not isinstance(resource, CloudImage) or resource.status.progress is None:
        return ""
    progress = resource.status.progress
    booted = find(resource.status.conditions, ConditionType.BOOTED)
    if booted is not None and booted.status == "Unknown" and progress.stage == Stage.COMPLETE:
        return "boot test"
    percent = "" if progress.percent is None else f" {progress.percent}%"
    rate = progress.bytes_per_second
    return f"{progress.stage}{percent}" + (f" at {quantity(rate)}B/s" if rate else "")


def _image_line(image: CloudImage) -> str:
    status = image.status
    if status.image_id is None:
        return "none yet"
    size = None if status.size is None else quantity(status.size)
    words = [each for each in (status.disk_format, size, status.visibility) if each]
    return status.image_id + (f" ({', '.join(words)})" if words else "")


def how_often(follow: Follow) -> str:
    """Return when a source is asked, for people."""
    if follow.schedule is not None:
        return f"by the schedule {follow.schedule} ({follow.time_zone})"
    return f"every {follow.every}"


def _following(image: CloudImage, follow: Follow, now: datetime) -> str:
    """Return how an image keeps up with its source, in one line; conditions say what is wrong."""
    state, words = image.status.follow or FollowStatus(), [how_often(follow)]
    if state.version is not None:
        words.append(f"{state.version} is served")
    if state.last_check_time is not None:
        words.append(f"asked {age(state.last_check_time, now)} ago")
    if state.next_check_time is not None:
        words.append(f"next in {age(now, state.next_check_time)}")
    return ", ".join(words)


def _boot_test(state: BootTestStatus, now: datetime) -> str:
    """Return how the boot test stands, in one line; the condition says what is wrong."""
    if state.finish_time is None:
        began = "" if state.start_time is None else f", begun {age(state.start_time, now)} ago"
        return f"under way{began}"
    result = {"Passed": "passed", "Failed": f"failed ({state.reason})"}.get(state.result or "", "")
    words = [f"{result or 'ended'} {age(state.finish_time, now)} ago"]
    if state.addresses:
        words.append(f"addresses {', '.join(state.addresses)}")
    if state.user:
        words.append(f"user {state.user}")
    if state.next_test_time is not None:
        words.append(f"next in {age(now, state.next_test_time)}")
    return "; ".join(words)


def _proof(verified: Condition) -> str:
    """Return what proves the source, in one line."""
    answer = {"True": "verified", "False": "NOT verified"}.get(verified.status, "not verified")
    return f"{answer} ({verified.reason})"


def _conditions(resource: Resource) -> Iterator[str]:
    """Yield each problem once, although several conditions may report it."""
    groups: dict[str, list[Condition]] = {}
    for each in resource.status.conditions:
        if _is_bad(each):
            groups.setdefault(each.message, []).append(each)
    advice = advice_of(resource)
    for message, conditions in groups.items():
        reason = conditions[0].reason
        states = ", ".join(f"{each.type} is {each.status}" for each in conditions)
        yield f"{reason} ({states})"
        yield f"  {message}"
        if reason in advice:
            yield f"  Advice: {advice[reason]}"
    if others := _foreign_finalizers(resource):
        yield f"Its deletion also waits for the finalizers {', '.join(others)}."
    yield from _commands(resource)


def _is_bad(condition: Condition) -> bool:
    if condition.type in ABNORMAL:
        return condition.status == "True"
    if condition.type == ConditionType.READY:
        return condition.status != "True"
    if condition.reason == Reason.PENDING:
        return False
    return condition.status == "False"


def advice_of(resource: Resource) -> Mapping[str, str]:
    """Return what each reason of the object's conditions means and what to do about it.

    They are the docstrings that docs/reference is made from.
    """
    docs = member_docs(Reason)
    if isinstance(resource, ImageShare):
        docs |= member_docs(ShareReason)
    return {reason: " ".join(text.split()) for reason, text in docs.items()}


def _foreign_finalizers(resource: Resource) -> list[str]:
    if resource.metadata.deletion_timestamp is None:
        return []
    return [each for each in resource.metadata.finalizers if each != FINALIZER]


def _commands(resource: Resource) -> Iterator[str]:
    name = f"{kind_of(type(resource)).singular}/{resource.metadata.name}"
    where = f"-n {resource.metadata.namespace}"
    if state_of(resource) is not State.STALLED:
        return
    if resource.metadata.deletion_timestamp is None:
        yield f"To retry it now: cloudimage retry {name} {where}"
    else:
        yield (
            f"To delete it but leave everything in the cloud: cloudimage force-delete {name} "
            f"{where}"
        )


def _own_sections(
    resource: Resource, shares: Sequence[ImageShare] | None, now: datetime
) -> Iterator[str]:
    if isinstance(resource, CloudImage):
        yield _section("Found in the image", _found(resource))
        yield _section("Used by", _users(resource, shares, now))
        yield _section("Revisions", _revisions(resource))
    elif isinstance(resource, ImageShare):
        yield _section("Members", _members(resource))


def _found(image: CloudImage) -> Iterator[str]:
    for each in image.status.lint:
        yield f"{each.rule}: {each.path}: {each.message}"


def _users(image: CloudImage, shares: Sequence[ImageShare] | None, now: datetime) -> Iterator[str]:
    used = image.status.used_by
    if used is not None:
        volumes = "" if used.volumes is None else f" and {count(used.volumes, 'volume')}"
        servers = "unknown servers" if used.servers is None else count(used.servers, "server")
        yield f"{servers}{volumes}; {_SIGHT[used.scope]}."
        if used.last_check_time is not None:
            yield f"  The cloud was asked {age(used.last_check_time, now)} ago."
        for each in used.sample:
            yield f"  {each.name} ({each.id}, project {each.project_id})"
        if (used.servers or 0) > len(used.sample) > 0:
            yield f"  and {(used.servers or 0) - len(used.sample)} more"
    if shares is None:
        yield "You may not read ImageShares here."
    for share in shares or ():
        accepted = progress_text(share) or "not accepted yet"
        yield f"ImageShare {share.metadata.namespace}/{share.metadata.name}: {accepted}"


def count(number: int, what: str) -> str:
    """Return a number of things in words, for instance ``1 server`` or ``2 servers``."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def _revisions(image: CloudImage) -> Iterator[str]:
    if not image.status.revisions:
        return
    rows = [["IMAGE ID", "CREATED", "USERS", "", "SOURCE", "CHECKSUM"]]
    for each in image.status.revisions:
        made = f"{each.created:%Y-%m-%d %H:%M}" if each.created else ""
        users = "?" if each.users is None else str(each.users)
        current = "current" if each.current else ""
        origin = [each.source or "", each.source_checksum or ""]
        rows.append([each.image_id, made, users, current, *origin])
    yield from aligned(rows).splitlines()


def _members(share: ImageShare) -> Iterator[str]:
    for each in share.status.members:
        name = f"{each.project_name} ({each.project_id})" if each.project_name else each.project_id
        advice = f"; its users run: {each.accept_command}" if each.accept_command else ""
        yield f"{name}: {each.status}{advice}"


def _events(events: Sequence[Event] | None, now: datetime) -> Iterator[str]:
    if events is None:
        yield "You may not read Events here."
        return
    ordered = sorted(events, key=lambda each: each.when or now)
    rows = [
        [age(each.when, now), plain(each.type), plain(each.reason), plain(each.message)]
        for each in ordered[-_LAST_EVENTS:]
    ]
    if rows:
        yield from aligned(rows).splitlines()


def age(when: datetime | None, now: datetime) -> str:
    """Return how long ago something was, in its largest unit: ``41s``, ``3m``, ``5h``, ``2d``."""
    if when is None:
        return "?"
    seconds = max(0, int((now - when).total_seconds()))
    for unit, length, most in (("s", 1, 120), ("m", 60, 120), ("h", 3600, 48)):
        if seconds // length < most:
            return f"{seconds // length}{unit}"
    return f"{seconds // 86400}d"


def _section(title: str, lines: Iterable[str]) -> str:
    body = [f"  {line}" for line in lines]
    return "\n".join((title, *body)) if body else ""
