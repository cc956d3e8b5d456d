"""The bars: what is compared with what."""

import os
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

from bench.buckets import bucket
from bench.copying import copying
from bench.growth import growth
from bench.many import many
from bench.peer import peer
from bench.reading import by_us, reading
from bench.registries import registries
from bench.results import Bar, Limit
from bench.rig import Rig, shell, timed
from bench.scale import MIB, Scale
from bench.store import store
from bench.tenants import tenants
from bench.watch import Peak, bytes_in, cpu_seconds, memory, watching, worst_lag
from cloudimage.runners.child import ChildRunner
from cloudimage.transfer.request import TransferRequest
from testbed.images import digest_of

_PROJECTS: Final = 4


def conversion(rig: Rig, scale: Scale) -> Bar:
    """A compressed qcow2 becomes a raw image: against the shell way, and against the PUT alone."""
    bar = Bar("conversion", "qcow2 URL to raw in Glance, with its checksum")
    source = rig.image("qcow2", scale.virtual, scale.data, compress=True)
    copy, raw = rig.folder / "copy.qcow2", rig.folder / "copy.raw"
    shell_way: list[float] = []
    alone: list[float] = []
    ours: list[float] = []
    with rig.served(source) as url:
        for _ in range(scale.repeats):
            steps = {
                "curl": timed(partial(shell, "curl", "-sSf", "-o", copy, url)),
                "sha256sum": timed(partial(shell, "sha256sum", copy)),
                "qemu-img convert": timed(
                    partial(shell, "qemu-img", "convert", "-f", "qcow2", "-O", "raw", copy, raw)
                ),
                "openstack image create --file": rig.openstack_create(raw, "raw"),
            }
            shell_way.append(sum(steps.values()))
            moved = rig.transfer(rig.request(url, source, "raw"))
            ours.append(moved.seconds)
            stages = {
                "fetch (curl)": steps["curl"],
                "convert (read through qemu-nbd)": timed(partial(by_us, copy)),
                "hash of the raw bytes (sha512)": timed(partial(digest_of, raw, "sha512")),
                "PUT (curl)": rig.put(raw, "raw"),
            }
            alone.append(max(stages.values()))
            for label, seconds in [
                *((f"the shell way: {label}", seconds) for label, seconds in steps.items()),
                *((f"alone: {label}", seconds) for label, seconds in stages.items()),
                *((f"ours: {label}", seconds) for label, seconds in moved.stages.items()),
            ]:
                bar.seconds[label] = min(seconds, bar.seconds.get(label, seconds))
    copy.unlink()
    raw.unlink()
    bar.seconds |= {"the shell way": min(shell_way), "ours": min(ours)}
    bar.limits = [
        Limit("ours / the shell way", min(ours) / min(shell_way), 0.6),
        Limit("ours / the slowest stage alone", min(ours) / min(alone), 1.2),
    ]
    return bar


def passage(rig: Rig, scale: Scale) -> Bar:
    """A raw image goes through: against curl's PUT of the same file."""
    bar = Bar("passage", "raw URL to Glance with sha256 verified, against curl -T of the file")
    source = rig.image("raw", scale.raw, scale.raw // 2)
    put: list[float] = []
    ours: list[float] = []
    with rig.served(source) as url:
        for _ in range(scale.repeats):
            put.append(rig.put(source, "raw"))
            moved = rig.transfer(rig.request(url, source, "raw"))
            ours.append(moved.seconds)
            bar.seconds |= {f"ours: {label}": each for label, each in moved.stages.items()}
    bar.seconds |= {"curl -T": min(put), "ours": min(ours)}
    bar.limits = [Limit("ours / curl -T", min(ours) / min(put), 1.1)]
    return bar


def footprint(rig: Rig, scale: Scale) -> Bar:
    """Memory and scratch do not grow with the image."""
    bar = Bar(
        "footprint", "memory (PSS) of a transfer, its server and tools; raw bytes in the scratch"
    )
    for virtual in scale.memory:
        source = rig.image("qcow2", virtual, virtual // 16, compress=True)
        pids: set[int] = set()
        used = Peak(lambda: sum(memory(pid) for pid in pids))  # noqa: B023 - used in this round
        kept = Peak(lambda: bytes_in(rig.scratch))
        with rig.served(source) as url, watching(used, kept):
            moved = rig.transfer(rig.request(url, source, "raw"), beside=pids.add)
        size = f"{virtual // MIB} MiB"
        bar.seconds[size] = moved.seconds
        raw = max(0, kept.value - source.stat().st_size)
        bar.limits += [
            Limit(f"memory at {size}", used.value / MIB, 200, " MiB"),
            Limit(f"raw bytes in the scratch at {size}", raw / MIB, 0, " MiB"),
        ]
    return bar


def crowd(rig: Rig, scale: Scale) -> Bar:
    """Many transfers at once take what Glance or the processors allow, and the loop stays free."""
    bar = Bar("crowd", f"{scale.at_once} transfers at once, by the operator's own runner")
    source = rig.image("raw", scale.each, scale.each // 2)
    with rig.served(source) as url:
        together = partial(_together, rig, rig.request(url, source, "raw"), scale.at_once)
        puts = _puts(rig, source, scale.at_once)
        before = _cpu(rig)
        lag, ours = worst_lag(together)
        cpu = (_cpu(rig) - before) / (os.cpu_count() or 1)
    allowed = max(puts, cpu)
    bar.seconds = {
        f"{scale.at_once} curl -T at once": puts,
        "processor time of all, over all processors": cpu,
        "ours": ours,
    }
    bar.limits = [
        Limit("ours / what the slowest shared resource allows", ours / allowed, 1.1),
        Limit("the event loop's worst lag", lag * 1000, 100, " ms"),
    ]
    return bar


def fanout(rig: Rig, scale: Scale) -> Bar:
    """One qcow2 becomes raw in four projects: against the PUTs of the finished raw file alone."""
    bar = Bar("fanout", f"one qcow2 URL to raw in Glance, {_PROJECTS} times at once")
    source = rig.image("qcow2", scale.raw, scale.raw // 2, compress=True)
    raw = rig.folder / "fanout.raw"
    shell("qemu-img", "convert", "-f", "qcow2", "-O", "raw", source, raw)
    puts: list[float] = []
    ours: list[float] = []
    cpu: list[float] = []
    with rig.served(source) as url:
        cache = {"cache": rig.scratch / "cache"}
        for _ in range(scale.repeats):
            puts.append(_puts(rig, raw, _PROJECTS))
            request = rig.request(url, source, "raw").model_copy(update=cache)
            before = _cpu(rig)
            ours.append(_together(rig, request, _PROJECTS))
            cpu.append((_cpu(rig) - before) / (os.cpu_count() or 1))
            shutil.rmtree(cache["cache"])
    raw.unlink()
    bar.seconds = {
        f"{_PROJECTS} curl -T at once": min(puts),
        "processor time of all, over all processors": min(cpu),
        "ours": min(ours),
    }
    bar.limits = [Limit(f"ours / {_PROJECTS} curl -T at once", min(ours) / min(puts), 1.15)]
    return bar


def _cpu(rig: Rig) -> float:
    """Return the processor time so far of this process and of all servers."""
    servers = [row[1] for part in (rig.openstack, rig.sources) for row in part.status()]
    return cpu_seconds({os.getpid(), *(pid for pid in servers if pid)})


def _puts(rig: Rig, source: Path, count: int) -> float:
    """Return the seconds until curl has given as many new images their bytes at once."""
    made: list[str] = []

    def put() -> None:
        identifier, words = rig.create("raw")
        made.append(identifier)
        shell("curl", "-sSf", "-T", source, *words)

    with ThreadPoolExecutor(count) as pool:
        seconds = timed(
            lambda: [each.result() for each in [pool.submit(put) for _ in range(count)]]
        )
    for identifier in made:
        rig.delete(identifier)
    return seconds


def _together(rig: Rig, request: TransferRequest, count: int) -> float:
    """Return the seconds until as many transfers at once have made their images."""
    runner = ChildRunner(count, spawn=rig.server.spawn)  # warm, as the operator has it
    ended = threading.Semaphore(0)
    uids = [str(number) for number in range(count)]

    def move() -> None:
        for uid in uids:
            image = request.image.model_copy(update={"id_seed": f"{request.image.id_seed}/{uid}"})
            one = request.model_copy(update={"image": image})
            runner.start(uid, "digest", one, partial(_notice, runner, uid, ended))
        for _ in uids:
            ended.acquire()

    seconds = timed(move)
    outcomes = [transfer.outcome for uid in uids if (transfer := runner.view(uid))]
    runner.stop()
    for outcome in outcomes:
        assert outcome is not None
        rig.settle(outcome)
    return seconds


def _notice(runner: ChildRunner, uid: str, ended: threading.Semaphore) -> None:
    transfer = runner.view(uid)
    if transfer is not None and transfer.outcome is not None:
        ended.release()


BARS: Final[dict[str, Callable[[Rig, Scale], Bar]]] = {
    each.__name__: each
    for each in (
        *(conversion, passage, bucket, registries, copying),
        *(store, footprint, crowd, fanout, reading, peer, many, growth, tenants),
    )
}
