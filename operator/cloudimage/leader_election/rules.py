"""Which of several operators acts: the rules by which they hold a Lease, as client-go has them.

Source: https://pkg.go.dev/k8s.io/client-go/tools/leaderelection. Clocks are never compared: who
waits measures by its own clock for how long a Lease has not changed. Whoever holds it stops earlier
than that, so two never act at once as long as their clocks run at about the same rate.

Where operators divide the namespaces, each part has a Lease of its own. The number of parts is in
its name: operators that count otherwise have other objects, and must not act at the same time.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from cloudimage.shard import WHOLE, Shard

RELEASED_SECONDS: Final = 1
"""What a released Lease is for: the API server refuses one for no time at all."""


@dataclass(frozen=True)
class Terms:
    """Which Lease, and its times in seconds; in the proportions that client-go has by default.

    Attributes:
        operator: What all operators that divide the objects are called.
        seconds: A Lease that has not changed for so long may be taken from its holder.
        shard: The part that the holder of this Lease has.
    """

    namespace: str
    operator: str
    seconds: int = 15
    shard: Shard = WHOLE

    @classmethod
    def of(cls, lease: str, seconds: int, shard: Shard = WHOLE) -> "Terms":
        """Return the terms of the Lease for a part of ``namespace/operator``.

        Raises:
            ValueError: It is called otherwise.
        """
        namespace, _, name = lease.partition("/")
        if not namespace or not name or "/" in name:
            raise ValueError(f"{lease} is not NAMESPACE/NAME of a Lease")
        return cls(namespace, name, seconds, shard)

    @property
    def name(self) -> str:
        """What the Lease is called."""
        shard = self.shard
        part = f"-{shard.index}-of-{shard.count}" if shard.count > 1 else ""
        return self.operator + part

    def excludes(self, name: str) -> bool:
        """Return whether nobody may act by this Lease while somebody holds that one."""
        other = re.fullmatch(rf"{re.escape(self.operator)}(?:-\d+-of-(\d+))?", name, re.ASCII)
        return other is not None and int(other[1] or 1) != self.shard.count

    @property
    def renew_within(self) -> float:
        """Who holds it and could not renew it for so long ends."""
        return self.seconds * 2 / 3

    @property
    def answer_within(self) -> float:
        """How long an answer of the API server is waited for."""
        return self.seconds / 3

    @property
    def retry(self) -> float:
        """The pause between two looks at it."""
        return self.seconds * 2 / 15


@dataclass(frozen=True)
class Lease:
    """A coordination.k8s.io/v1 Lease as the API server has it.

    Attributes:
        name: What it is called.
        holder: Who holds it; empty: nobody.
        seconds: For how long since its last change, as its holder said.
        version: Another one after each change.
        body: The whole object.
    """

    name: str
    holder: str
    seconds: float
    version: str
    body: Mapping[str, Any] = field(repr=False, compare=False)

    @classmethod
    def parsed(cls, body: Mapping[str, Any]) -> "Lease":
        """Return the Lease of an object."""
        spec = body.get("spec") or {}
        return cls(
            name=body["metadata"]["name"],
            holder=spec.get("holderIdentity") or "",
            seconds=spec.get("leaseDurationSeconds") or 0,
            version=body["metadata"]["resourceVersion"],
            body=body,
        )


@dataclass(frozen=True)
class View:
    """The Lease as one candidate saw it last.

    Attributes:
        since: When it saw the last change, in seconds of its own clock.
    """

    lease: Lease
    since: float

    def valid(self, now: float) -> bool:
        """Return whether somebody may act by this Lease."""
        return bool(self.lease.holder) and now < self.since + self.lease.seconds


class Step(StrEnum):
    """What a candidate may do next."""

    CREATE = "create"
    TAKE = "take"
    RENEW = "renew"
    WAIT = "wait"


def seen(view: View | None, found: Lease | None, now: float) -> View | None:
    """Return what is known after a look at the Lease; one that is gone changes nothing."""
    if found is None or (view is not None and view.lease == found):
        return view
    return View(found, now)


def step(me: str, found: Lease | None, view: View | None, now: float) -> Step:
    """Decide what to do about the Lease.

    Args:
        me: The name of this process, which no other one ever has.
        found: The Lease as it was just read, or None.
        view: What :func:`seen` returned for it.
        now: Of this process's clock.
    """
    if found is not None and found.holder == me:
        return Step.RENEW
    # Of a Lease that somebody deletes the holder notices a moment later: it is waited out as well.
    if view is not None and view.valid(now):
        return Step.WAIT
    return Step.CREATE if found is None else Step.TAKE


def held(found: Lease | None, me: str, terms: Terms, now: datetime) -> dict[str, Any]:
    """Return the object that says that this process holds the Lease since now, or still."""
    new = {"metadata": {"name": terms.name, "namespace": terms.namespace}}
    body: Mapping[str, Any] = found.body if found else new
    before: Mapping[str, Any] = body.get("spec") or {}
    spec = {
        **before,
        "holderIdentity": me,
        "leaseDurationSeconds": terms.seconds,
        "renewTime": _micro_time(now),
    }
    if found is None or found.holder != me:
        spec["acquireTime"] = _micro_time(now)
        spec["leaseTransitions"] = (before.get("leaseTransitions") or 0) + (found is not None)
    return {**body, "spec": spec}


def released(found: Lease, now: datetime) -> dict[str, Any]:
    """Return the object that says that nobody holds the Lease."""
    spec = {
        **found.body["spec"],
        "holderIdentity": "",
        "leaseDurationSeconds": RELEASED_SECONDS,
        "renewTime": _micro_time(now),
    }
    return {**found.body, "spec": spec}


def _micro_time(moment: datetime) -> str:
    """Return a time with exactly six decimals, as the API server demands it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
