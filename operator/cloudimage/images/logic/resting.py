"""Whether an object needs no comparison, since a view shows its images to be unchanged; pure."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

from cloudimage.api.cloudimage import CloudImage, ManagementPolicy
from cloudimage.api.reasons import ConditionType
from cloudimage.controller.logic.conditions import find
from cloudimage.images.logic import retention
from cloudimage.images.logic.desired import Desired
from cloudimage.views.logic.images import OVERLAP, SeenImage

_SEEN_ELSEWHERE: Final = (
    ConditionType.NAME_UNIQUE,
    ConditionType.PROVENANCE_COMPLETE,
    ConditionType.PUBLISHED,
    ConditionType.RETENTION_APPLIED,
)
"""Conditions that may come right without a change of the image: they are looked at as before."""


def is_unchanged(resource: CloudImage, seen: Collection[SeenImage], now: datetime) -> bool:
    """Return whether a comparison would find what the last one has found.

    Args:
        resource: The CloudImage, settled by its status.
        seen: The images with its mark, as a view that may be relied on has them.
        now: The present.
    """
    status = resource.status
    compared, image = status.last_sync_time, status.image
    if compared is None or image is None or _looks_itself(resource, now):
        return False
    if {each.id for each in seen} != {each.image_id for each in status.revisions}:
        return False
    current = (each for each in seen if each.id == status.image_id)
    return [each.updated_at for each in current] == [image.updated] and all(
        # Of a later change in that second, or by a clock that is late, the status may not know.
        each.updated_at <= compared - OVERLAP
        for each in seen
    )


def _looks_itself(resource: CloudImage, now: datetime) -> bool:
    """Return whether something that no view shows has to be looked at."""
    spec, conditions = resource.spec, resource.status.conditions
    if spec.management_policy is ManagementPolicy.UNMANAGED or spec.publish is not None:
        return True
    drafted = (find(conditions, each) for each in _SEEN_ELSEWHERE)
    if any(each is not None and each.status != "True" for each in drafted):
        return True
    source = Desired.of(spec, resource.status.resolved_source).source
    if source is not None and source.selector() is not None and spec.follow is None:
        return True  # the name may come to mean another image
    return _ages(resource, now)


def _ages(resource: CloudImage, now: datetime) -> bool:
    """Return whether earlier images have steps before them, or wait for others to be deleted."""
    policy = retention.policy_of(resource)
    earlier = [each for each in resource.status.revisions if not each.current]
    steps = (policy.visible_for, policy.deprecate_after or timedelta(0), policy.delete_after)
    return len(earlier) > policy.keep or any(
        each.replaced is None or now - each.replaced < max(steps) for each in earlier
    )
