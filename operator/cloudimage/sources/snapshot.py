"""What the sources have in common of which the cloud makes an image: servers and volumes."""

import json
from collections.abc import Mapping
from typing import Generic, TypeVar

from cloudimage.api.sources.server import ServerSource
from cloudimage.api.sources.volume import VolumeSource
from cloudimage.sources.base import FixedSource, Proof, Reference
from cloudimage.transfer.source.glance import model

S = TypeVar("S", ServerSource, VolumeSource)


class SnapshotSpecSource(FixedSource, Generic[S]):
    """All of a :class:`cloudimage.sources.base.SpecSource` but what names the kind."""

    spec: S

    def __init__(self, spec: S) -> None:
        self.spec = spec

    def references(self) -> tuple[Reference, ...]:
        """Return the Secret of its cloud, if that is not the object's own."""
        ref = self.spec.cloud_credentials_ref
        return (Reference(model.SOURCE_CLOUD, "Secret", ref.secret_name),) if ref else ()

    def proof(self) -> Proof:
        """Return that the Glance of its cloud says what proves its bytes."""
        return Proof(teller="the source's Glance")

    def declared_format(self) -> None:
        """Return that the spec declares none: its Glance does."""

    def selector(self) -> None:
        """Return that nothing is looked up: what a name means counts when the snapshot is taken.

        Else another server of that name would have another snapshot taken.
        """

    def location_of(self, what: str) -> str:
        """Return what it is, and the cloud that has it."""
        ref = self.spec.cloud_credentials_ref
        return what + (f" of cloud {ref.cloud_name}" if ref else "")

    def content_of(self, kind: str, identifier: str | None) -> Mapping[str, object]:
        """Return what decides whether another snapshot is taken.

        How it is taken does not, nor do other credentials for the same id. A name means something
        only in its cloud.
        """
        named = [self.spec.name, *self._cloud()]
        text = json.dumps(named, ensure_ascii=False) if identifier is None else identifier.lower()
        parts: dict[str, object] = {"content": f"{kind}:{text}"}
        if self.spec.trigger is not None:
            parts["trigger"] = self.spec.trigger
        return parts

    def _cloud(self) -> tuple[str, ...]:
        ref = self.spec.cloud_credentials_ref
        return (ref.secret_name, ref.cloud_name) if ref else ()

    @property
    def cloud_name(self) -> str | None:
        """The entry of its Secret's clouds.yaml, if it has a Secret of its own."""
        ref = self.spec.cloud_credentials_ref
        return ref.cloud_name if ref else None


def named(kind: str, name: str | None, identifier: str | None) -> str:
    """Return a thing for people: ``server "build"`` or ``server 0b1c...``."""
    return f"{kind} {json.dumps(name, ensure_ascii=False) if name else (identifier or '').lower()}"
