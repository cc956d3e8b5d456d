"""A long campaign: ``PYTHONPATH=tests python -m chaos --kills 200``."""

import argparse
import sys

from chaos.campaign import Campaign
from chaos.world import world


def main() -> int:
    """Run a campaign and print what was found; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=7200)
    parser.add_argument("--objects", type=int, default=6)
    parser.add_argument("--runner", choices=("child", "job"), default="child")
    parser.add_argument("--replicas", type=int, choices=(1, 2), default=1)
    options = parser.parse_args()
    with world(options.runner, options.replicas) as made:
        campaign = Campaign(made, options.seed, options.objects)
        campaign.run(options.kills, options.seconds, lambda text: print(text, flush=True))  # noqa: T201 - a command
        for operator in made.operators:
            (made.folder / f"{operator.folder.name}.log").write_text(operator.log())
        print(dict(sorted(campaign.tally.items())))  # noqa: T201 - a command
        for finding in campaign.bad:
            print("BAD", *finding)  # noqa: T201 - a command
        if campaign.bad:
            for operator in made.operators:
                print("\n".join(operator.log().splitlines()[-400:]))  # noqa: T201 - a command
    print("BAD" if campaign.bad else "OK")  # noqa: T201 - a command
    return 1 if campaign.bad else 0


if __name__ == "__main__":
    sys.exit(main())
