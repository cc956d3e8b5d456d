"""How long an ImageShare is left alone that waits for nothing."""

from datetime import timedelta
from typing import Any

import pytest

from cloudimage.controller.reconciler import now
from cloudimage.settings import Settings
from cloudimage.shares.reconciler import ImageShareReconciler
from support.resources import image_share


def rest(number: int, ago: timedelta, **settings: Any) -> timedelta:
    """Return for how long one of so many shares of a cloud is left alone that was compared then."""
    nothing: Any = None
    world = ImageShareReconciler(
        nothing, nothing, Settings(**settings), nothing, nothing, print, lambda _: number
    )
    status = {
        "observedGeneration": 2,
        "lastSyncTime": (now() - ago).isoformat(),
        "conditions": [
            {
                "type": "Ready",
                "status": "True",
                "reason": "Shared",
                "message": "",
                "observedGeneration": 2,
                "lastTransitionTime": now().isoformat(),
            }
        ],
    }
    return timedelta(seconds=world.rest(image_share(status=status)))


@pytest.mark.parametrize(
    ("number", "settings", "period"),
    [
        (1, {}, timedelta(minutes=30)),
        (100, {}, timedelta(hours=11)),
        (1000, {"resync_seconds": 60}, timedelta(minutes=1)),
    ],
    ids=["few", "many take turns", "many, and somebody wants it often"],
)
def test_it_is_compared_again_after(
    number: int, settings: dict[str, Any], period: timedelta
) -> None:
    ago = period / 2
    assert abs(rest(number, ago, **settings) - ago) < timedelta(minutes=7)
    assert rest(number, period * 1.2, **settings) == timedelta(0)
