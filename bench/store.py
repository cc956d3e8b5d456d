"""The bar in which Glance converts."""

import dataclasses
from functools import partial

from bench.results import Bar, Limit
from bench.rig import Rig, shell, timed
from bench.scale import Scale
from cloudimage.transfer.contract import Import
from testbed.openstack.another import another


def store(rig: Rig, scale: Scale) -> Bar:
    """A qcow2 becomes raw in a Glance that converts imports: against the shell way."""
    bar = Bar("store", "qcow2 URL to raw by Glance's own conversion, proven by its sha512")
    source = rig.image("qcow2", scale.virtual, scale.data, compress=True)
    copy, raw = rig.folder / "copy.qcow2", rig.folder / "copy.raw"
    shell_way: list[float] = []
    ours: list[float] = []
    with another() as bed, rig.served(source) as url:
        converting = dataclasses.replace(bed, glance_plugins=("image_conversion",))
        converting.up()
        there = dataclasses.replace(rig, openstack=converting)
        direct = {"method": Import(method="GlanceDirect")}
        for _ in range(scale.repeats):
            convert = ("qemu-img", "convert", "-f", "qcow2", "-O", "raw", copy, raw)
            steps = {
                "curl": timed(partial(shell, "curl", "-sSf", "-o", copy, url)),
                "sha256sum": timed(partial(shell, "sha256sum", copy)),
                "qemu-img convert": timed(partial(shell, *convert)),
                "openstack image create --file": there.openstack_create(raw, "raw"),
            }
            shell_way.append(sum(steps.values()))
            moved = there.transfer(there.request(url, source, "raw").model_copy(update=direct))
            ours.append(moved.seconds)
            stages = {f"ours: {label}": each for label, each in moved.stages.items()}
            bar.seconds |= {f"the shell way: {label}": each for label, each in steps.items()}
            bar.seconds |= stages
    copy.unlink()
    raw.unlink()
    bar.seconds |= {"the shell way": min(shell_way), "ours": min(ours)}
    bar.limits = [Limit("ours / the shell way", min(ours) / min(shell_way), 0.5)]
    return bar
