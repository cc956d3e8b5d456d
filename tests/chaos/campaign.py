"""Seeded random work, kills and outages; in the end each object has exactly one correct image.

Objects are created, edited, reverted, shared and deleted, using every way into Glance; meanwhile
operators, fork servers, transfers and tools are killed with SIGKILL, and services are stopped or
do not answer for a while.
"""

import hashlib
import json
import random
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from openstack.connection import Connection

from chaos.world import FROZEN, SERVICES, World, kill
from support.namespaces import condition_of, wait_until
from support.shares import ACCEPT_WITH, CONSUMER
from testbed.images import disk, sha256_of

VARIANTS = 4
SETTLE_SECONDS = 300.0
GONE_SECONDS = 150.0
_AIM_SECONDS = 15.0
"""How long something is waited for that can be broken off: an operator takes a while to start."""
_MIB = 1 << 20
_SHORT = {"raw": "raw", "vhd": "vpc", "qcow2": "qcow2"}
"""What qemu-img calls Glance's formats."""


@dataclass(frozen=True)
class Variant:
    """A source; ``raw`` is the SHA-256 of the disk in it, ``sha512`` is Glance's own algorithm."""

    urls: tuple[str, str]
    sha512: str
    format: str
    raw: str


@dataclass(frozen=True)
class Wish:
    """What an object is to become: which source, in which format, with which tag."""

    variant: int
    format: str
    tag: str


@dataclass
class Campaign:
    """One campaign.

    Attributes:
        tally: What was done, and what the objects were at when something was killed.
        bad: What is not right in the end.
    """

    world: World
    seed: int
    objects: int = 6
    tally: Counter[str] = field(default_factory=Counter)
    bad: list[tuple[Any, ...]] = field(default_factory=list)
    _wishes: dict[str, Wish] = field(default_factory=dict)
    _shared: set[str] = field(default_factory=set)
    _variants: list[Variant] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)
        self._names = [f"k{number}" for number in range(self.objects)]
        for number in range(VARIANTS):
            self._variants.append(self._variant(number))

    def run(self, kills: int, seconds: float, say: Callable[[str], None]) -> None:
        """Do harm so many times, for so many seconds at most; then check what is left."""
        began = time.monotonic()
        done = 0
        while done < kills and time.monotonic() - began < seconds:
            for _ in range(self._chance.randrange(1, 3)):
                self.tally[f"act {self._act()}"] += 1
            self._wait_for_work()
            self._harm()
            done += 1
            if done % 10 == 0:
                say(f"{time.monotonic() - began:.0f} s: {done} times, {dict(self.tally)}")
        say(f"{done} times in {time.monotonic() - began:.0f} s: {dict(sorted(self.tally.items()))}")
        self._check(say)

    def _variant(self, number: int) -> Variant:
        folder, seed = self.world.folder, 100 + number
        size = {"virtual_size": 48 * _MIB, "data_bytes": 12 * _MIB, "seed": seed}
        raw = disk(folder / f"v{number}.raw", "raw", **size)
        path, kind = raw, "raw"
        if number % 2 == 0:
            path, kind = disk(folder / f"v{number}.qcow2", "qcow2", **size), "qcow2"
        name = f"chaos-{self.seed}-{number}.{kind}"
        self.world.sources.put(name, path)
        slow = self.world.sources.url(name, rate=self._chance.choice([4, 8, 16]) * _MIB)
        return Variant(
            (self.world.sources.url(name), slow),
            hashlib.sha512(path.read_bytes()).hexdigest(),
            kind,
            sha256_of(raw),
        )

    def _spec(self, wish: Wish) -> dict[str, Any]:
        variant = self._variants[wish.variant]
        # The others could not keep what the spec promises: reason MethodUnavailable.
        methods = ["Upload", "Upload", "Auto"]
        if wish.format == variant.format:
            methods += ["GlanceDirect", "WebDownload"]
        url = self._chance.choice(variant.urls)
        return {
            "source": {"http": {"url": url, "checksum": {"sha512": variant.sha512}}},
            "image": {"diskFormat": wish.format, "visibility": "shared", "tags": [wish.tag]},
            "import": {"method": self._chance.choice(methods)},
            "revisionHistoryLimit": self._chance.choice([0, 1, 2]),
        }

    def _wish(self) -> Wish:
        number = self._chance.randrange(VARIANTS)
        kind = self._chance.choice(["raw", "raw", "vhd", "qcow2", self._variants[number].format])
        return Wish(number, kind, f"t{self._chance.randrange(1000)}")

    def _act(self) -> str:
        """Do one thing that a user does; return its name."""
        namespace, shares = self.world.namespace, self.world.shares
        name = self._chance.choice(self._names)
        if name not in self._wishes:
            if namespace.get(name) is not None:
                return "wait"
            wish = self._wishes[name] = self._wish()
            namespace.create(name, "", **self._spec(wish))
            return "create"
        kind = self._chance.choices(
            ["source", "metadata", "delete", "share", "unshare"], [5, 2, 3, 2, 1]
        )[0]
        if kind == "source":
            wish = self._wishes[name] = self._wish()
            namespace.patch(name, {"spec": self._spec(wish)})
        elif kind == "metadata":
            old = self._wishes[name]
            wish = self._wishes[name] = Wish(old.variant, old.format, f"t{self._chance.random()}")
            namespace.patch(name, {"spec": {"image": {"tags": [wish.tag]}}})
        elif kind == "delete":
            namespace.delete(name)
            del self._wishes[name]
            if name in self._shared:
                shares.delete(name)
                self._shared.discard(name)
        elif kind == "share" and name not in self._shared and shares.get(name) is None:
            shares.create(name, {**CONSUMER, **ACCEPT_WITH})
            self._shared.add(name)
        elif kind == "unshare" and name in self._shared:
            shares.delete(name)
            self._shared.discard(name)
        else:
            kind = "nothing"
        return kind

    def _wait_for_work(self) -> None:
        """Wait until something is under way, then for a moment by chance."""
        wanted = self._chance.choice(
            ["Fetching", "Converting", "Uploading", "Uploading", "deleting"]
        )

        def is_under_way() -> bool:
            return wanted in self._under_way()

        if wait_until(is_under_way, _AIM_SECONDS):
            self.tally[f"aimed at {wanted}"] += 1
        chance = self._chance
        time.sleep(chance.choice([chance.uniform(0, 0.4), chance.uniform(0.2, 1.5)]))

    def _under_way(self) -> Iterator[str]:
        for name in self._names:
            resource = self.world.namespace.get(name)
            if resource is None:
                continue
            if resource.metadata.deletion_timestamp:
                yield "deleting"
            elif resource.status.progress and resource.status.progress.stage != "Complete":
                yield resource.status.progress.stage

    def _harm(self) -> None:
        """Kill something, while everything answers or while a service does not."""
        for stage in self._under_way():
            self.tally[f"while {stage}"] += 1
        trouble = self._chance.choices(["none", "frozen", "outage"], [7, 3, 2])[0]
        if trouble == "none":
            self._kill()
        elif trouble == "frozen":
            name = self._chance.choice(FROZEN)
            self.tally[f"no answer {name}"] += 1
            with self.world.frozen(name):
                time.sleep(self._chance.uniform(0, 2))
                self._kill()
                time.sleep(self._chance.uniform(0, 4))
        else:
            name = self._chance.choice(SERVICES)
            self.tally[f"outage {name}"] += 1
            with self.world.outage(name):
                time.sleep(self._chance.uniform(0, 2))
                self._kill()
                time.sleep(self._chance.uniform(0, 2))
        self.world.start()

    def _kill(self) -> None:
        kinds = ["operator", "transfer", "server", "tool", "all"]
        kind = self._chance.choices(kinds, [8, 6, 2, 2, 3])[0]
        found = self.world.processes(kind)
        if not found:
            kind, found = "operator", self.world.processes("operator")
        if kind == "operator" and len(found) > 1:
            found = [self._chance.choice(found)]
        kill(found, self._chance)
        self.tally[f"kill {kind}"] += 1

    def _check(self, say: Callable[[str], None]) -> None:
        began = time.monotonic()
        for name in self._wishes:
            if not wait_until(partial(self._is_settled, name), SETTLE_SECONDS):
                self._blame("stuck", name)
        self._expect_gone(set(self._names) - self._wishes.keys(), "not gone")
        say(f"settled after {time.monotonic() - began:.0f} s")
        glance = self.world.clouds.connect("images")
        self._check_images(glance)
        self._check_members(glance)
        self._check_traces(glance)

    def _expect_gone(self, names: Iterable[str], otherwise: str) -> None:
        for name in names:
            if not wait_until(partial(self._is_gone, name), GONE_SECONDS):
                self._blame(otherwise, name)

    def _is_gone(self, name: str) -> bool:
        return self.world.namespace.get(name) is None

    def _blame(self, what: str, name: str) -> None:
        resource = self.world.namespace.get(name)
        status = json.dumps(resource.status.to_json()) if resource else ""
        self.bad.append((what, name, self._wishes.get(name), status))

    def _is_settled(self, name: str) -> bool:
        resource, wish = self.world.namespace.get(name), self._wishes[name]
        if resource is None:
            return False
        states = [(condition_of(resource, kind) or ("",))[0] for kind in ("Ready", "Synced")]
        return (
            states == ["True", "True"]
            and resource.status.observed_generation == resource.metadata.generation
            and condition_of(resource, "Reconciling") is None
            and condition_of(resource, "Stalled") is None
            and resource.status.disk_format == wish.format
        )

    def _images(self, glance: Connection) -> list[dict[str, Any]]:
        """Return every image that a CloudImage of the campaign made."""
        found: dict[str, dict[str, Any]] = {}
        for hidden in ("true", "false"):
            url = f"/images?os_hidden={hidden}&visibility=all&limit=100"
            while url:
                page = glance.image.get(url).json()
                url = page.get("next", "").removeprefix("/v2")
                found |= {image["id"]: image for image in page["images"]}
        return [image for image in found.values() if "cloudimage_dev_uid" in image]

    def _check_images(self, glance: Connection) -> None:
        present = {name: self.world.namespace.get(name) for name in self._wishes}
        owners = {each.metadata.uid: name for name, each in present.items() if each}
        current: Counter[str] = Counter()
        for image in self._images(glance):
            name = owners.get(image["cloudimage_dev_uid"])
            resource = present.get(name or "")
            if name is None or resource is None:
                self.bad.append(("orphan", image["id"], image["name"], image["status"]))
                continue
            listed = {each.image_id for each in resource.status.revisions}
            if image["status"] != "active" or image["id"] not in listed:
                self.bad.append(("half an image", name, image["id"], image["status"]))
            elif image["id"] == resource.status.image_id:
                current[name] += 1
                self._check_current(glance, name, image)
            elif not image["os_hidden"]:
                self.bad.append(("an old image is shown", name, image["id"]))
        self.bad += [("images", name, current[name]) for name in self._wishes if current[name] != 1]

    def _check_current(self, glance: Connection, name: str, image: dict[str, Any]) -> None:
        wish = self._wishes[name]
        seen = (image["os_hidden"], image["visibility"], image["tags"])
        if seen != (False, "shared", [wish.tag]):
            self.bad.append(("metadata", name, seen, wish))
        path, flat = self.world.folder / "got", self.world.folder / "flat"
        answer = glance.image.get(f"/images/{image['id']}/file", stream=True)
        with path.open("wb") as file:
            for chunk in answer.iter_content(_MIB):
                file.write(chunk)
        if hashlib.sha512(path.read_bytes()).hexdigest() != image["os_hash_value"]:
            self.bad.append(("hash", name, image["id"]))
        convert = ("qemu-img", "convert", "-f", _SHORT[wish.format], "-O", "raw", path, flat)
        subprocess.run(convert, check=True)
        if _disk_digest(flat, 48 * _MIB) != self._variants[wish.variant].raw:
            self.bad.append(("BYTES", name, image["id"], wish))

    def _check_members(self, glance: Connection) -> None:
        wanted = {self.world.clouds.project_id("consumer"): "accepted"}
        for name in self._shared:

            def members(name: str = name) -> dict[str, str]:
                resource = self.world.namespace.get(name)
                image_id = resource.status.image_id if resource else None
                answer = glance.image.get(f"/images/{image_id}/members").json()
                return {each["member_id"]: each["status"] for each in answer.get("members", ())}

            if not wait_until(lambda: members() == wanted, 90):
                self.bad.append(("members", name, members()))

    def _check_traces(self, glance: Connection) -> None:
        """Delete everything, and look for what is left."""
        if not wait_until(lambda: self.world.leftovers() == [], 60):
            self.bad.append(("scratch", self.world.leftovers()))
        for name in self._shared:
            self.world.shares.delete(name)
        for name in self._wishes:
            self.world.namespace.delete(name)
        self._expect_gone(self._wishes, "deletion stuck")
        left = [(image["id"], image["name"], image["status"]) for image in self._images(glance)]
        if left:
            self.bad.append(("left in Glance", left))

        def held() -> list[str]:
            core = self.world.namespace.core
            secret = core.read_namespaced_secret("openstack", self.world.namespace.name)
            return secret.metadata.finalizers or []

        if not wait_until(lambda: held() == [], 30):
            self.bad.append(("the Secret is held", held()))
        node = self.world.node
        if node is not None and not wait_until(lambda: node.jobs() == [], 60):
            self.bad.append(("Jobs", len(node.jobs())))
        self._count_faults()

    def _count_faults(self) -> None:
        for operator in self.world.operators:
            for line in operator.log().splitlines():
                entry = json.loads(line) if line.startswith("{") else {}
                if "fault" in entry:
                    self.tally[f"fault {entry['fault']}"] += 1


def _disk_digest(path: Path, size: int) -> str:
    """Return the SHA-256 of a disk; a VHD may be longer, with zeros."""
    data = path.read_bytes()
    if any(data[size:]):
        return "data behind the end"
    return hashlib.sha256(data[:size]).hexdigest()
