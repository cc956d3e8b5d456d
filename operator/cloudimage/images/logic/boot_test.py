"""What a boot test does next, and when the image must wait for it; pure.

All that is known is in ``status.bootTest``, in the marks of the image, and in what Nova lists by
the marks of its servers, so that a restart at any point goes on from there.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Final

from cloudimage.api.boot_test import BootTest, BootTestStatus
from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.reasons import BOOT_VERDICTS, Reason
from cloudimage.cloud.models import GlanceImage, JsonPatch, TestServer
from cloudimage.durations import parse_duration
from cloudimage.images.logic import boot_test_state
from cloudimage.images.logic.owned_images import (
    PROVISIONAL,
    has_provisional_name,
    was_promoted,
)
from cloudimage.images.logic.revisions import with_suffix
from cloudimage.vocabulary.marks import UNTESTED, Marks

RETRIED: Final = frozenset(
    {
        Reason.NO_VALID_HOST,
        Reason.BUILD_FAILED,
        Reason.SSH_UNREACHABLE,
        Reason.QUOTA_EXCEEDED,
        Reason.FORBIDDEN,
    }
)
"""What says nothing of the image and may pass; any other refusal waits for another spec."""

BUILD_SECONDS: Final = 1800.0
"""How long Nova may take to make a server, most of which is its host's copy of the image."""

_MARGIN: Final = timedelta(minutes=10)
"""For so long after its time a test still waits for a Nova that does not answer."""

SERVER_MARK: Final = "cloudimage_dev_boot_test"
"""Metadata of a server: which test of which spec it is for."""
KEY_MARK: Final = "cloudimage_dev_boot_key"
"""Metadata of a server: the fingerprint of its key."""

PRIVATE: Final = "private"

_SHOWING: Final = frozenset({"/name", "/owner", "/visibility", "/protected", "/os_hidden"})
NOT_RUNNING: Final = frozenset({"DELETED", "SOFT_DELETED"})
_BOOTS_BY: Final = (
    "hw_",
    "os_type",
    "os_distro",
    "os_command_line",
    "os_secure_boot",
    "img_",
    "trait:",
    "vmware_",
    "hypervisor_",
    "architecture",
    "kernel_id",
    "ramdisk_id",
    "root_device_name",
    "vm_mode",
)
"""How the properties begin by which Nova decides how a server boots ("Useful image properties" of
Glance's administrator's guide)."""


class Phase(Enum):
    """Where a boot test stands."""

    NONE = auto()
    """No test is wanted, and nothing of one is left."""
    ENDING = auto()
    """What an earlier spec or image has left is cleared away first."""
    DUE = auto()
    """One is to begin."""
    RUNNING = auto()
    """One is under way."""
    CLEARING = auto()
    """The result is known; its server is cleared away."""
    OVER = auto()
    """The result is known, and nothing is left."""


def digest_of(test: BootTest, image: GlanceImage) -> str:
    """Return what the result depends on besides the bytes, in one value."""
    content = test.to_json()
    for name in ("required", "every"):
        content.pop(name, None)
    content["properties"] = {
        name: value for name, value in image.properties.items() if name.startswith(_BOOTS_BY)
    }
    content["minima"] = [image.min_disk, image.min_ram]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def is_held(resource: CloudImage, image: GlanceImage) -> bool:
    """Return whether the image may not be used before it has passed."""
    test = resource.spec.boot_test
    if test is None or not test.required or _is_in_use(resource, image):
        return False
    return not has_passed(resource, image)


def _is_in_use(resource: CloudImage, image: GlanceImage) -> bool:
    """Return whether an image has its place; an earlier one that is returned to gave it up."""
    if resource.status.image_id == image.id:
        return True
    return was_promoted(resource, image) and Marks.REPLACED not in image.properties


def putting_apart(resource: CloudImage, image: GlanceImage, *, made: bool = False) -> JsonPatch:
    """Return the patch by which an image that was never used is one that waits for its test.

    Args:
        resource: The CloudImage.
        image: The image; it may have been made while the spec asked for no test, or by a person.
        made: Its transfer has just ended.
    """
    test = resource.spec.boot_test
    if test is None or not test.required or has_passed(resource, image):
        return ()
    if not (has_provisional_name(image) or made or _was_never_shown(resource, image)):
        return ()
    if resource.status.image_id == image.id:
        return ()
    wanted: dict[str, tuple[str | None, str]] = {"/visibility": (image.visibility, PRIVATE)}
    if not has_provisional_name(image):
        name = with_suffix(image.name or resource.metadata.name, PROVISIONAL)
        wanted["/name"] = (image.name, name)
    mark = image.properties.get(Marks.BOOTED)
    wanted[f"/{Marks.BOOTED}"] = (mark, UNTESTED)
    return tuple(
        {"op": "add" if path.endswith(Marks.BOOTED) else "replace", "path": path, "value": value}
        for path, (found, value) in wanted.items()
        if found != value
    )


def _was_never_shown(resource: CloudImage, image: GlanceImage) -> bool:
    """Return whether an image is as it was made, though its spec wants it to be seen.

    So is one that was uploaded, or whose operator was killed before it took its place. An earlier
    image is hidden too, and an adopted one may be.
    """
    adopt = resource.spec.adopt
    adopted = adopt is not None and adopt.id.lower() == image.id
    as_made = image.hidden and not resource.spec.image.hidden
    return as_made and not adopted and Marks.REPLACED not in image.properties


def needed_first(changes: JsonPatch, *, held: bool) -> JsonPatch:
    """Return what is changed of an image before its test.

    Args:
        changes: What its spec wants to be changed.
        held: It may not be used yet: then all but what makes it visible. Of one that is in use it
            is what the result depends on, so that the test is of what the spec has now.
    """
    if held:
        return tuple(each for each in changes if each["path"] not in _SHOWING)
    return tuple(each for each in changes if _matters(each["path"].removeprefix("/")))


def _matters(name: str) -> bool:
    """Return whether the result of a test depends on an attribute of the image."""
    return name.startswith(_BOOTS_BY) or name in {"min_disk", "min_ram"}


def outdated_mark(image: GlanceImage, outcome: Reason, digest: str) -> JsonPatch:
    """Return the patch by which an image no longer says that it has passed what it fails now."""
    if outcome not in BOOT_VERDICTS or passed_at(image, digest) is None:
        return ()
    return ({"op": "remove", "path": f"/{Marks.BOOTED}"},)


def has_passed(resource: CloudImage, image: GlanceImage) -> bool:
    """Return whether the image has passed what the spec wants now."""
    test, state = resource.spec.boot_test, resource.status.boot_test
    if test is None:
        return False
    if is_of(state, test, image):
        return state is not None and state.result == "Passed"
    return passed_at(image, digest_of(test, image)) is not None


def is_of(state: BootTestStatus | None, test: BootTest, image: GlanceImage) -> bool:
    """Return whether a state is that of this test of this image."""
    if state is None:
        return False
    return (state.image_id, state.spec_digest) == (image.id, digest_of(test, image))


def booted_mark(digest: str, now: datetime) -> str:
    """Return the mark of an image that has passed."""
    return f"{digest} {now:%Y-%m-%dT%H:%M:%SZ}"


def passed_at(image: GlanceImage, digest: str) -> datetime | None:
    """Return when the image has passed by its mark, or None."""
    known, _, when = image.properties.get(Marks.BOOTED, "").partition(" ")
    try:
        moment = datetime.fromisoformat(when)
    except ValueError:
        return None
    return moment if known == digest and moment.tzinfo is not None else None


def phase(resource: CloudImage, image: GlanceImage, now: datetime) -> Phase:
    """Return where the boot test of the current image stands.

    Args:
        resource: The CloudImage.
        image: Its current image, as Glance has it.
        now: The present.
    """
    test, state = resource.spec.boot_test, resource.status.boot_test
    if test is None:
        return Phase.NONE if state is None else Phase.ENDING
    if state is None:
        return Phase.DUE
    if not is_of(state, test, image):
        return Phase.DUE if boot_test_state.is_clear(state) else Phase.ENDING
    if state.finish_time is None:
        return Phase.RUNNING
    if not boot_test_state.is_clear(state):
        return Phase.CLEARING
    due = due_again(resource, image, test, state)
    return Phase.DUE if due is not None and now >= due else Phase.OVER


def due_again(
    resource: CloudImage, image: GlanceImage, test: BootTest, state: BootTestStatus
) -> datetime | None:
    """Return when the image is tested again after a result, by what the spec says now."""
    if state.result == "Failed" and state.reason in RETRIED | {Reason.PENDING}:
        return state.next_test_time
    return None if is_held(resource, image) else next_time(test, state)


def next_time(test: BootTest, state: BootTestStatus) -> datetime | None:
    """Return when an image that is in use is tested again after a result, or None."""
    if test.every is None or state.finish_time is None:
        return None
    return state.finish_time + parse_duration(test.every)


@dataclass(frozen=True, slots=True)
class Found:
    """The servers of a CloudImage's tests.

    Attributes:
        ours: That of the test that is under way, or None.
        others: What is deleted: of an earlier test, or made twice.
    """

    ours: TestServer | None
    others: tuple[TestServer, ...]


def mark_of(state: BootTestStatus) -> str:
    """Return by which metadata the server of a test is known."""
    return f"{state.spec_digest}-{state.attempts}"


def sorted_out(state: BootTestStatus, servers: Iterable[TestServer]) -> Found:
    """Return which server is that of the test: the one that is known, else the first."""
    alive = [each for each in servers if each.status not in NOT_RUNNING]
    fitting = sorted(
        (each for each in alive if _is_of(state, each)),
        key=lambda each: (each.id != state.server_id, each.created_at, each.id),
    )
    ours = fitting[0] if fitting else None
    return Found(ours, tuple(each for each in alive if each is not ours))


def _is_of(state: BootTestStatus, server: TestServer) -> bool:
    image = server.metadata.get(Marks.IMAGE_ID)
    return (image, server.metadata.get(SERVER_MARK)) == (state.image_id, mark_of(state))


def deadline(test: BootTest, state: BootTestStatus) -> datetime | None:
    """Return until when the guest may take; None: its server was never ACTIVE."""
    if state.start_time is None or state.active_seconds is None:
        return None
    return (
        state.start_time
        + timedelta(seconds=state.active_seconds)
        + parse_duration(test.expect.within)
    )


def is_overdue(test: BootTest, state: BootTestStatus, now: datetime) -> bool:
    """Return whether a test of which Nova tells nothing has gone on for too long."""
    longest = timedelta(seconds=BUILD_SECONDS) + parse_duration(test.expect.within)
    end = deadline(test, state) or (state.start_time or now) + longest
    return now >= end + _MARGIN


def begun(
    resource: CloudImage, test: BootTest, image: GlanceImage, now: datetime
) -> BootTestStatus:
    """Return the state of a test that begins now."""
    before = resource.status.boot_test
    failed = before is not None and before.result == "Failed" and is_of(before, test, image)
    earlier = before.attempts if before and failed else 0
    return BootTestStatus(
        image_id=image.id,
        spec_digest=digest_of(test, image),
        attempts=earlier + 1,
        start_time=now,
    )


def is_repetition(resource: CloudImage, test: BootTest, image: GlanceImage) -> bool:
    """Return whether the image was tested so before, so that what is said of it stays meanwhile."""
    state = resource.status.boot_test
    if not is_of(state, test, image) or (state and state.reason == Reason.PENDING):
        return False
    return boot_test_state.is_told(resource)


def known_to_pass(test: BootTest, image: GlanceImage) -> BootTestStatus | None:
    """Return the state of an image that has passed this very test by its mark, or None.

    An earlier image that is returned to has it, and each one after a status was lost.
    """
    digest = digest_of(test, image)
    moment = passed_at(image, digest)
    if moment is None:
        return None
    state = BootTestStatus(
        image_id=image.id,
        spec_digest=digest,
        result="Passed",
        reason=Reason.BOOT_TEST_PASSED,
        finish_time=moment,
    )
    return state.model_copy(update={"next_test_time": next_time(test, state)})
