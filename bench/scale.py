"""How much a run of the benchmarks moves."""

from dataclasses import dataclass

MIB = 2**20
GIB = 2**30


@dataclass(frozen=True)
class Scale:
    """Sizes in bytes.

    Attributes:
        name: What the results are filed under.
        repeats: How often each measurement of a time is made; the fastest counts.
        virtual: Virtual size of the compressed qcow2 of the first bar.
        data: How much of that is data.
        raw: Size of the raw image of the second bar.
        memory: Virtual sizes at which memory is measured.
        each: Size of each of the images that are moved at once.
        at_once: How many images those are.
        objects: How many CloudImages one operator manages.
        growth: Numbers of CloudImages at which the cost of an operator is compared.
        clouds: How many clouds those are in.
        queued: How many transfers are under way beside them, or wait for their turn.
        steady: Seconds for which the operator is watched at rest.
        probes: How many objects are changed, and as many deleted, in each of two situations.
    """

    name: str
    repeats: int
    virtual: int
    data: int
    raw: int
    memory: tuple[int, ...]
    each: int
    at_once: int = 8
    objects: int = 1000
    growth: tuple[int, ...] = (1000, 3000, 10000)
    clouds: int = 5
    queued: int = 50
    steady: float = 245
    probes: int = 5


FULL = Scale(
    name="full",
    repeats=2,
    virtual=3 * GIB + 512 * MIB,
    data=1 * GIB + 512 * MIB,
    raw=2 * GIB,
    memory=(1 * GIB, 4 * GIB, 16 * GIB),
    each=512 * MIB,
)

QUICK = Scale(
    name="quick",
    repeats=1,
    virtual=64 * MIB,
    data=24 * MIB,
    raw=32 * MIB,
    memory=(32 * MIB, 64 * MIB),
    each=16 * MIB,
    at_once=3,
    objects=12,
    growth=(4, 8),
    clouds=2,
    queued=6,
    steady=3,
    probes=1,
)
