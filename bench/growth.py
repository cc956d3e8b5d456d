"""How the cost of an operator grows with its CloudImages."""

import time

from bench.fleet import Fleet, kubernetes_bed
from bench.results import Bar, Limit
from bench.rig import Rig
from bench.scale import MIB, Scale
from bench.watch import cpu_seconds, memory

_PATIENCE_SECONDS = 1800.0
_REST_SECONDS = 70.0
"""All clouds are listed once in it, at the least."""


def growth(rig: Rig, scale: Scale) -> Bar:
    """Restart and rest of one operator with more and more settled objects, in one run."""
    sizes = ", ".join(map(str, scale.growth))
    bar = Bar("growth", f"{sizes} CloudImages on one operator, in {scale.clouds} clouds")
    with (
        kubernetes_bed() as cluster,
        Fleet.of(cluster, rig.openstack, rig.folder, scale.clouds) as fleet,
    ):
        for count in scale.growth:
            if fleet.resources:
                fleet.grow(count)
            else:
                fleet.prepare(count)
            fleet.age()
            _measure(fleet, bar, count, min(_REST_SECONDS, scale.steady))
            fleet.operator.stop()
    return bar


def _measure(fleet: Fleet, bar: Bar, count: int, rest: float) -> None:
    writes, begin = fleet.writes(), time.monotonic()
    fleet.start()
    settled = fleet.wait_settled(_PATIENCE_SECONDS) - begin
    restarted = cpu_seconds([fleet.pid])
    time.sleep(rest)
    rested = cpu_seconds([fleet.pid]) - restarted
    bar.seconds[f"{count}: processor time of the restart"] = restarted
    bar.seconds[f"{count}: processor time of {rest:.0f} s at rest"] = rested
    bar.limits += [
        Limit(f"{count}: restart to settled", settled, 60, " s"),
        Limit(f"{count}: writes to the API server", fleet.writes() - writes, 0),
        Limit(f"{count}: memory (PSS) at rest", memory(fleet.pid) / MIB, 400, " MiB"),
    ]
