"""What the operator asks a source of, whatever kind it is."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Literal, Protocol, Self

from cloudimage.api.resolved_source import ResolvedSource
from cloudimage.transfer import contract
from cloudimage.vocabulary.image import DiskFormat


@dataclass(frozen=True)
class Reference:
    """A Secret or a ConfigMap that a source needs.

    Attributes:
        name: What its texts are found by, and the volume of a Job's pod.
        kind: Which of the two.
        target: Its own name, in the namespace of the CloudImage.
        key: The key that is one text; None: all keys are needed.
        urls: Where what it holds is sent; its annotation may say for which hosts it is.
    """

    name: str
    kind: Literal["Secret", "ConfigMap"]
    target: str
    key: str | None = None
    urls: tuple[str, ...] = ()


@dataclass(frozen=True)
class Proof:
    """What the spec has that proves the bytes.

    Attributes:
        checksum: What the spec itself gives.
        listed: The checksum is in a file that the publisher keeps, and may change there.
        signed: A signature is checked.
        teller: Who has the source and says what it must hash to, if so; whether they have a hash
            is known only once they were asked.
        lasting: What proves the bytes now proves no others later; not so what is moved, as a tag.
    """

    checksum: contract.Checksum | None = None
    listed: bool = False
    signed: bool = False
    teller: str | None = None
    lasting: bool = True

    @property
    def is_given(self) -> bool:
        """Whether there is any."""
        return self.checksum is not None or self.listed or self.signed or self.teller is not None


class AskedBy(Enum):
    """How it is found out which bytes a source means at present."""

    LOOK = auto()
    """A process asks its server."""
    OPERATOR = auto()
    """The operator asks its cloud."""
    CLOCK = auto()
    """Nothing is asked: at each time of the schedule the bytes are other ones."""


class SpecSource(Protocol):
    """The member of spec.source that is set."""

    def location(self) -> str:
        """Return where its bytes are, for people; without secrets."""

    def references(self) -> tuple[Reference, ...]:
        """Return the Secrets and ConfigMaps that it needs."""

    def proof(self) -> Proof:
        """Return what proves its bytes."""

    def declared_format(self) -> DiskFormat | None:
        """Return the disk format that the spec says its file has; None: the content tells."""

    def selector(self) -> str | None:
        """Return a digest of what must be looked up before it is known which bytes are meant.

        None: The spec says it itself.
        """

    def followed(self) -> str | None:
        """Return a digest of what may mean other bytes later, and can be asked for them.

        That is the selector where there is one. None: The spec says for good which bytes it means.
        """

    def why_fixed(self) -> str:
        """Return why nothing can be followed, and what to change, as a sentence; else nothing."""

    def asked_by(self) -> AskedBy:
        """Return how it is found out which bytes are meant at present."""

    def is_current(self) -> bool:
        """Return whether what is selected is looked up at each resync, also if nothing follows."""

    def is_older(self, version: str, other: str) -> bool:
        """Return whether a version comes before another; False: versions have no order."""

    def at(self, found: ResolvedSource) -> "SpecSource":
        """Return the source with what was found."""

    def unresolved(self) -> contract.Source:
        """Return it as a look takes it, without what its references lead to."""

    def content(self) -> Mapping[str, object]:
        """Return what its bytes depend on, for the content key; what is not set is left out."""

    def request(self) -> contract.Source:
        """Return it as a transfer takes it, without what its references lead to."""


def digest_of(meaning: Mapping[str, object]) -> str:
    """Return a digest of what a source is looked up by."""
    return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()[:32]


class FixedSource:
    """A base of sources that cannot be asked for anything newer."""

    def selector(self) -> None:
        """Return that there is nothing to look up."""

    def followed(self) -> None:
        """Return that nothing can be asked for a newer version."""

    def asked_by(self) -> AskedBy:
        """Return a look, which never comes to pass."""
        return AskedBy.LOOK

    def is_current(self) -> bool:
        """Return False: nothing is looked up."""
        return False

    def is_older(self, version: str, other: str) -> bool:  # noqa: ARG002 - there are no versions
        """Return False."""
        return False

    def at(self, found: ResolvedSource) -> Self:  # noqa: ARG002 - nothing is looked up
        """Return the source."""
        return self

    def unresolved(self) -> contract.Source:
        """Raise, for nothing is looked at."""
        raise ValueError("unreachable: no look is needed")


@dataclass(frozen=True)
class MovingSource(ABC):
    """A base of sources in stores, where what the spec names may come to mean other bytes.

    Without spec.follow nothing is asked: what a transfer finds is then what the image stays.

    Attributes:
        found: What it meant when it was asked; None: it was not.
    """

    found: ResolvedSource | None = field(default=None, kw_only=True)

    @abstractmethod
    def why_fixed(self) -> str:
        """Return why nothing can be followed, and what to change, as a sentence; else nothing."""

    @abstractmethod
    def content(self) -> Mapping[str, object]:
        """Return what its bytes depend on."""

    @abstractmethod
    def request(self) -> contract.Source:
        """Return it as a transfer takes it."""

    def selector(self) -> None:
        """Return that a transfer asks the store, where nothing was asked before."""
        return

    def followed(self) -> str | None:
        """Return a digest of what its bytes depend on, but for the version that was found."""
        return None if self.why_fixed() else digest_of(replace(self, found=None).content())

    def asked_by(self) -> AskedBy:
        """Return a look."""
        return AskedBy.LOOK

    def is_current(self) -> bool:
        """Return False: it is asked where it is followed."""
        return False

    def is_older(self, version: str, other: str) -> bool:  # noqa: ARG002 - they have no order
        """Return False: neither digests nor tags have an order."""
        return False

    def at(self, found: ResolvedSource) -> Self:
        """Return the source with what was found."""
        return replace(self, found=found)

    def unresolved(self) -> contract.Source:
        """Return it as a look takes it."""
        return replace(self, found=None).request()

    @property
    def version(self) -> str | None:
        """What was found since an image was made; None: the image is of what the spec names."""
        return None if self.found is None or self.found.initial else self.found.version
