"""The status of a CloudImage that follows its source."""

from datetime import timedelta
from typing import Any

import pytest

from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.follow import FollowStatus
from cloudimage.api.reasons import Reason
from cloudimage.api.status import SourceStatus
from cloudimage.images.logic import follow_schedule, follow_status, schedule, status
from cloudimage.images.logic.desired import Desired
from cloudimage.sources.base import SpecSource
from cloudimage.sources.registry import source_of
from cloudimage.transfer.contract import Checksum, Latest
from support.image_status import after, ready, states
from support.resources import NOW, cloud_image

SUMS = {"sha256": None, "from": {"url": "https://example.org/SHA256SUMS"}}
INDEX = {
    "url": None,
    "index": {"checksums": "https://example.org/SHA256SUMS", "pattern": r"d-(?P<version>\d)\.img"},
    "checksum": {"from": {"url": "https://example.org/SHA256SUMS", "filename": "$(name)"}},
}
LATER = NOW + timedelta(hours=1)


def _followed(**follow: Any) -> CloudImage:
    return cloud_image(http=INDEX, follow={"every": "6h", **follow})


def _source(resource: CloudImage) -> SpecSource:
    return source_of(resource.spec)


def _build(version: str) -> Latest:
    return Latest(
        version=version,
        checksum=Checksum(algorithm="sha256", value=version * 64),
        location=f"https://example.org/d-{version}.img",
        values={"name": f"d-{version}.img", "version": version},
    )


def _told(
    resource: CloudImage, version: str, now: Any = NOW, latest: Latest | None = None
) -> CloudImage:
    """Return the object once its source has said which version it has."""
    source = _source(resource)
    before = resource.status.resolved_source
    known = before if before and before.selector == source.followed() else None
    found = follow_status.found_by_look(resource, source, latest or _build(version))
    return after(resource, follow_status.answered(resource, source, known, found, now))


def _served(resource: CloudImage) -> CloudImage:
    """Return the object once an image of what is meant serves."""
    resource = ready(resource)
    return after(
        resource,
        follow_status.updated(
            resource,
            Desired.of(resource.spec, resource.status.resolved_source),
            resource.status,
            NOW,
        ),
    )


def test_the_first_version_is_meant() -> None:
    told = _told(_followed(), "1")
    assert told.status.resolved_source is not None
    assert told.status.resolved_source.version == "1"
    assert told.status.follow is not None
    assert told.status.follow.last_check_time == NOW
    assert told.status.follow.version is None, "nothing serves yet"
    served = _served(told)
    assert served.status.follow is not None
    assert served.status.follow.version == "1"
    assert states(told.status)["Following"] == ("True", "Asked")
    assert states(told.status)["UpdateAvailable"] == ("False", "UpToDate")
    desired = Desired.of(told.spec, told.status.resolved_source)
    assert desired.source is not None
    assert desired.source.location() == "https://example.org/d-1.img"


def test_another_version_is_other_content() -> None:
    keys = {
        Desired.of(told.spec, told.status.resolved_source).content_key
        for told in (_told(_followed(), "1"), _told(_followed(), "2"))
    }
    assert len(keys) == 2


def test_a_build_that_its_publisher_replaced_is_a_new_one() -> None:
    first = _served(_told(_followed(), "1"))
    other = _build("1").model_copy(
        update={"checksum": Checksum(algorithm="sha256", value="a" * 64)}
    )
    replaced = _told(first, "1", latest=other)
    assert states(replaced.status)["UpdateAvailable"] == ("True", "Updating")
    assert replaced.status.resolved_source is not None
    assert replaced.status.resolved_source.checksum == f"sha256:{'a' * 64}"
    over = _told(_served(replaced), "1", latest=other)
    assert states(over.status)["UpdateAvailable"] == ("False", "UpToDate")


def test_an_update_is_over_once_its_image_serves() -> None:
    updating = _told(_served(_told(_followed(), "1")), "2")
    assert states(updating.status)["UpdateAvailable"] == ("True", "Updating")
    assert updating.status.follow is not None
    assert updating.status.follow.previous is not None
    assert updating.status.follow.previous.version == "1"
    over = _served(updating)
    assert states(over.status)["UpdateAvailable"] == ("False", "UpToDate")
    assert over.status.follow is not None
    assert over.status.follow.previous is None


def test_a_failed_update_is_taken_back_and_left() -> None:
    updating = _told(_served(_told(_followed(), "1")), "2")
    back = follow_status.given_up(updating, "no disk", NOW)
    assert back is not None
    assert back.resolved_source is not None
    assert back.resolved_source.version == "1"
    assert states(back)["UpdateAvailable"] == ("True", "UpdateFailed")
    again = _told(after(updating, back), "2", LATER)
    assert again.status.resolved_source == back.resolved_source
    assert states(again.status)["UpdateAvailable"] == ("True", "UpdateFailed")
    assert _told(again, "3").status.resolved_source != back.resolved_source


def test_two_updates_in_a_row_keep_what_served() -> None:
    served = _served(_told(_followed(), "1"))
    third = _told(_told(served, "2"), "3")
    back = follow_status.given_up(third, "no disk", NOW)
    assert back is not None
    assert back.resolved_source == served.status.resolved_source


def test_the_first_image_has_nothing_to_go_back_to() -> None:
    assert follow_status.given_up(_told(_followed(), "1"), "no disk", NOW) is None


def test_a_version_that_went_back_changes_nothing() -> None:
    served = _served(_told(_followed(), "2"))
    back = _told(served, "1", LATER)
    assert back.status.resolved_source == served.status.resolved_source
    assert states(back.status)["Following"] == ("False", "SourceWentBack")
    assert states(back.status)["UpdateAvailable"] == ("False", "UpToDate")


def test_following_an_existing_image_changes_nothing_of_it() -> None:
    plain = ready(cloud_image(http={"checksum": SUMS}))
    key = Desired.of(plain.spec).content_key
    source = SourceStatus(checksums={"sha256": "1" * 64})
    known = plain.status.model_copy(update={"source": source})
    followed = cloud_image(http={"checksum": SUMS}, follow={"every": "6h"})
    told = _told(after(followed, known), "1")
    assert Desired.of(told.spec, told.status.resolved_source).content_key == key
    changed = _told(after(followed, known), "2")
    assert Desired.of(changed.spec, changed.status.resolved_source).content_key != key
    assert states(changed.status)["UpdateAvailable"] == ("True", "Updating")


def test_what_is_no_longer_followed_stays_what_it_is() -> None:
    served = _served(_told(_followed(), "1"))
    plain = after(cloud_image(http=INDEX), served.status)
    new = follow_status.prepared(plain, NOW, fixed="")
    assert new.follow is None
    assert not {"Following", "UpdateAvailable"} & states(new).keys()
    assert Desired.of(plain.spec, new.resolved_source) == Desired.of(
        served.spec, served.status.resolved_source
    )


@pytest.mark.parametrize(
    ("follow", "fixed", "reason"),
    [
        ({"suspend": True}, "", Reason.SUSPENDED),
        ({}, "A digest stays.", Reason.NOT_FOLLOWABLE),
        ({"every": None, "schedule": "0 3 31 2 *"}, "", Reason.INVALID_SCHEDULE),
        (
            {"timeZone": "No/Where", "window": {"schedule": "0 3 * * *", "duration": "1h"}},
            "",
            Reason.INVALID_SCHEDULE,
        ),
    ],
)
def test_why_a_source_is_not_asked(follow: dict[str, Any], fixed: str, reason: Reason) -> None:
    served = _served(
        _told(_followed(**follow), "1") if "schedule" not in follow else _followed(**follow)
    )
    new = follow_status.prepared(served, NOW, fixed=fixed)
    assert states(new)["Following"] == ("False", reason)
    assert states(new)["Ready"][0] == "True"


def test_a_source_that_does_not_answer_is_asked_again_in_its_time() -> None:
    served = _served(_told(_followed(), "1"))
    new = follow_status.unanswered(served, Reason.SOURCE_UNREACHABLE, "no route", NOW)
    assert states(new)["Following"] == ("False", "SourceUnreachable")
    assert new.follow is not None
    assert new.follow.next_check_time is not None
    assert new.follow.next_check_time > NOW


def test_when_a_source_is_asked() -> None:
    def is_to_ask(resource: CloudImage, now: Any) -> bool:
        source, known = _source(resource), resource.status.resolved_source
        return follow_schedule.is_to_ask(resource, source, known, now)

    assert is_to_ask(_followed(), NOW)
    served = _served(_told(_followed(), "1"))
    assert served.status.follow is not None
    due = served.status.follow.next_check_time
    assert due is not None
    assert not is_to_ask(served, due - timedelta(seconds=1))
    assert is_to_ask(served, due)
    assert schedule.next_resync(served, 1e9) == due


def test_another_spec_is_asked_at_once() -> None:
    served = _served(_told(_followed(), "1"))
    changed = after(_followed(policy="Report"), served.status, generation=4)
    new = follow_status.prepared(changed, NOW, fixed="")
    assert new.follow is not None
    assert new.follow.next_check_time is None


def _retried(resource: CloudImage) -> CloudImage:
    return after(resource, status.retrying(resource, "again", NOW))


def test_an_update_that_takes_more_than_one_check_has_one_way_back() -> None:
    first = _served(_told(_followed(), "1"))
    again = _told(_told(first, "2"), "2", LATER)
    assert states(again.status)["UpdateAvailable"] == ("True", "Updating")
    assert again.status.follow is not None
    assert again.status.follow.version == "1"
    third = _told(_served(again), "3", LATER)
    back = follow_status.given_up(third, "no disk", LATER)
    assert back is not None
    assert back.resolved_source is not None
    assert back.resolved_source.version == "2"


@pytest.mark.parametrize("follow", [{"policy": "Report"}, {"minimumAge": "3d"}])
def test_an_update_that_has_begun_is_not_held(follow: dict[str, Any]) -> None:
    updating = _told(_served(_told(_followed(), "1")), "2")
    held = _told(after(_followed(**follow), updating.status), "2", LATER)
    assert held.status.resolved_source is not None
    assert held.status.resolved_source.version == "2"
    assert states(held.status)["UpdateAvailable"] == ("True", "Updating")


def test_an_update_that_its_publisher_takes_back_is_abandoned() -> None:
    served = _served(_told(_followed(), "1"))
    back = _told(_told(served, "2"), "1", LATER)
    assert back.status.resolved_source == served.status.resolved_source
    assert states(back.status)["Following"] == ("True", "Asked")
    assert states(back.status)["UpdateAvailable"] == ("False", "UpToDate")
    assert back.status.follow is not None
    assert back.status.follow.previous is None


@pytest.mark.parametrize("order", ["Version", "Lexical"])
@pytest.mark.parametrize("follow", [{}, {"policy": "Report"}, {"minimumAge": "3d"}])
def test_another_index_is_applied_at_once(order: str, follow: dict[str, Any]) -> None:
    served = _served(_told(_followed(), "1"))
    http = {**INDEX, "index": {**INDEX["index"], "order": order, "pattern": r"e-(?P<version>\d)"}}
    other = cloud_image(http=http, follow={"every": "6h", **follow})
    changed = _told(after(other, served.status), "1")
    assert changed.status.resolved_source is not None
    assert changed.status.resolved_source.selector == _source(other).followed()
    assert states(changed.status)["Following"] == ("True", "Asked")


def test_how_a_source_is_reached_does_not_say_what_it_means() -> None:
    more = {"mirrors": ["https://mirror.example.org/$(name)"], "auth": {"secretName": "a"}}
    other = cloud_image(http={**INDEX, **more, "format": "qcow2"}, follow={"every": "6h"})
    assert _source(other).followed() == _source(_followed()).followed()


@pytest.mark.parametrize(
    "follow",
    [{"every": None, "schedule": "0 3 * * *", "timeZone": "No/Where"}, {"suspend": True}],
)
def test_the_first_version_is_meant_whatever_the_schedule(follow: dict[str, Any]) -> None:
    told = _told(_followed(**follow), "1")
    assert told.status.resolved_source is not None
    new = follow_status.unanswered(told, Reason.SOURCE_UNREACHABLE, "no route", NOW)
    assert new == told.status


def test_another_spec_tries_a_version_that_failed() -> None:
    updating = _told(_served(_told(_followed(), "1")), "2")
    back = follow_status.given_up(updating, "no disk", NOW)
    assert back is not None
    changed = after(_followed(minimumAge="1s"), back, generation=4)
    prepared = after(changed, follow_status.prepared(changed, NOW, fixed=""), generation=4)
    assert prepared.status.follow is not None
    assert prepared.status.follow.available is None


@pytest.mark.parametrize(("failed", "kept"), [(True, False), (False, True)])
def test_a_retry_forgets_only_what_failed(*, failed: bool, kept: bool) -> None:
    held = _told(_served(_told(_followed(minimumAge="3d"), "1")), "2")
    assert held.status.follow is not None
    assert held.status.follow.available is not None
    seen = held.status.follow.available.model_copy(update={"failed": failed})
    follow = held.status.follow.model_copy(update={"available": seen})
    before = after(held, held.status.model_copy(update={"follow": follow}))
    new = _retried(before).status.follow
    assert new is not None
    assert (new.available == seen) == kept
    assert new.next_check_time is None


def test_a_source_that_cannot_be_followed_any_more_has_no_update() -> None:
    held = _told(_served(_told(_followed(policy="Report"), "1")), "2")
    new = follow_status.prepared(held, NOW, fixed="A digest stays.")
    assert "UpdateAvailable" not in states(new)
    assert new.follow == FollowStatus()


def test_a_suspended_source_says_no_time_for_what_is_held() -> None:
    held = _told(_served(_told(_followed(minimumAge="3d"), "1")), "2")
    suspended = after(_followed(minimumAge="3d", suspend=True), held.status)
    new = follow_status.prepared(suspended, NOW, fixed="")
    [update] = [each for each in new.conditions if each.type == "UpdateAvailable"]
    assert "UTC" not in update.message
    assert update.reason == "UpdateHeld"


def test_one_failed_look_does_not_cost_a_month() -> None:
    monthly = {"every": None, "schedule": "0 3 1 * *"}
    served = _served(_told(_followed(**monthly), "1"))
    new = follow_status.unanswered(served, Reason.SOURCE_UNREACHABLE, "no route", NOW)
    assert new.follow is not None
    assert new.follow.next_check_time is not None
    assert new.follow.next_check_time - NOW <= timedelta(hours=1)


@pytest.mark.parametrize(
    ("policy", "forgotten"), [("Refuse", False), ("Accept", True)], ids=["pinned", "accepted"]
)
def test_a_build_that_is_gone_is_forgotten_where_that_is_allowed(
    policy: str, *, forgotten: bool
) -> None:
    served = _served(_told(_followed(), "1"))
    assert served.status.image_id is not None
    plain = cloud_image(http=INDEX, sourceChangePolicy=policy)
    lost = follow_status.asked_after(after(plain, served.status), Reason.SOURCE_NOT_FOUND)
    assert (lost.status.resolved_source is None) == forgotten
    never = served.status.model_copy(update={"image_id": None})
    unmade = follow_status.asked_after(after(plain, never), Reason.SOURCE_NOT_FOUND)
    assert unmade.status.resolved_source is None
