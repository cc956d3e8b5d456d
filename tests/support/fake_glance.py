"""A Glance that is a double, and whole transfers into it."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from cloudimage.transfer import pipeline
from cloudimage.transfer.contract import UNRESTRICTED, Result
from cloudimage.transfer.glance.client import Body
from cloudimage.transfer.glance.quota import Usage
from cloudimage.transfer.interrupts import Interrupts
from cloudimage.transfer.progress import Meter
from cloudimage.transfer.request import TransferRequest


class FakeGlance:
    """Stores what it is given, and fails on demand."""

    def __init__(self) -> None:
        self.images: dict[str, dict[str, Any]] = {}
        self.used: set[str] = set()
        self.posts = 0
        self.algorithm = "sha512"
        self.truth: dict[str, Any] = {}
        self.fail_at: dict[str, list[BaseException]] = {}
        self.silence = 60.0
        self.quota: dict[str, Usage] = {}
        self.stored = b""

    def usage(self) -> dict[str, Usage]:
        """Return what is used of the quota."""
        return self.quota

    def _maybe_fail(self, step: str) -> None:
        if self.fail_at.get(step):
            raise self.fail_at[step].pop(0)

    def create(self, body: dict[str, Any]) -> bool:
        """Create an image, unless its id was used."""
        self.posts += 1
        if body["id"] in self.used:
            return False
        self.used.add(body["id"])
        self.images[body["id"]] = dict(body)
        self._maybe_fail("create")
        return True

    def send(self, identifier: str, body: Body, _stores: tuple[str, ...]) -> None:
        """Take the bytes."""
        self._maybe_fail("send")
        content = self.stored = b"".join(body)
        self.images[identifier] |= {
            "status": "active",
            "size": len(content),
            "os_hash_algo": self.algorithm,
            "os_hash_value": hashlib.new(self.algorithm, content).hexdigest(),
            **self.truth,
        }
        self._maybe_fail("after sending")

    def show(self, identifier: str) -> dict[str, Any]:
        """Return the image."""
        self._maybe_fail("show")
        return self.images[identifier]

    def set_property(self, identifier: str, name: str, value: str) -> None:
        """Set a property."""
        self._maybe_fail("set_property")
        self.images[identifier][name] = value

    def delete(self, identifier: str) -> None:
        """Delete the image."""
        self._maybe_fail("delete")
        self.images.pop(identifier, None)


class TransferBench:
    """A scratch, and a Glance that is a double, for whole transfers."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.scratch = folder
        self.glance = FakeGlance()
        monkeypatch.setattr(pipeline, "Glance", lambda *_: self.glance)

    def run(
        self,
        source: dict[str, Any],
        image: str | None = None,
        container: str = "bare",
        **others: Any,
    ) -> Result:
        """Move an image of a disk format and a container format."""
        request = {
            "source": source,
            "image": {
                "id_seed": "seed",
                "name": "name",
                "disk_format": image,
                "container_format": container,
            },
            "cloud": {"config": {}},
            "scratch": self.scratch,
            "cache": self.scratch / "cache",
            "method": {"method": "Upload"},
            "policy": UNRESTRICTED,
            **others,
        }
        wanted = TransferRequest.model_validate(request)
        return pipeline.transfer(wanted, Meter(lambda _: None), Interrupts())
