"""Short campaigns of kills and outages; ``python -m chaos`` has long ones."""

import pytest

from chaos.campaign import Campaign
from chaos.world import Runner, world

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(1200)]

KILLS = 12
SECONDS = 240.0


@pytest.mark.parametrize(
    ("runner", "replicas", "seed"),
    [("child", 1, 1), ("job", 1, 2), ("child", 2, 3)],
    ids=["children", "Jobs", "two replicas"],
)
def test_whatever_is_killed_each_object_has_one_right_image(
    runner: Runner, replicas: int, seed: int
) -> None:
    with world(runner, replicas) as made:
        campaign = Campaign(made, seed, objects=4)
        campaign.run(KILLS, SECONDS, print)
        assert campaign.bad == [], made.operators[0].log()[-20000:]
