"""What the sources have in common of which the cloud makes an image: servers and volumes."""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Generic, Self, TypeVar

from cloudimage.api.resolved_source import ResolvedSource
from cloudimage.api.sources.server import ServerSource
from cloudimage.api.sources.volume import VolumeSource
from cloudimage.sources.base import AskedBy, Proof, Reference, digest_of
from cloudimage.transfer import contract
from cloudimage.transfer.source.glance import model

S = TypeVar("S", ServerSource, VolumeSource)


class SnapshotSpecSource(ABC, Generic[S]):
    """All of a :class:`cloudimage.sources.base.SpecSource` but what names the kind.

    Attributes:
        found: For which time of the schedule a snapshot is due; None: none is followed.
    """

    spec: S

    def __init__(self, spec: S, found: ResolvedSource | None = None) -> None:
        self.spec = spec
        self.found = found

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

    def why_fixed(self) -> str:
        """Return nothing: a snapshot can be taken at any time."""
        return ""

    def followed(self) -> str | None:
        """Return a digest of what is taken a snapshot of, and the trigger."""
        return None if self.why_fixed() else digest_of(type(self)(self.spec).content())

    @abstractmethod
    def content(self) -> Mapping[str, object]:
        """Return what decides whether another snapshot is taken."""

    def asked_by(self) -> AskedBy:
        """Return the clock: a look would find something new at any time."""
        return AskedBy.CLOCK

    def is_current(self) -> bool:
        """Return False: nothing is looked up."""
        return False

    def is_older(self, version: str, other: str) -> bool:
        """Return whether a time is before another; both are of RFC 3339, in UTC."""
        return version < other

    def at(self, found: ResolvedSource) -> Self:
        """Return the source with the time of its snapshot."""
        return type(self)(self.spec, found)

    def unresolved(self) -> contract.Source:
        """Raise, for nothing is looked at."""
        raise ValueError("unreachable: no look is needed")

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
        if self.found is not None and not self.found.initial:
            parts["due"] = self.found.version
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
