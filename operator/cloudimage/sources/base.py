"""What the operator asks a source of, whatever kind it is."""

from collections.abc import Mapping
from dataclasses import dataclass
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


class FixedSource:
    """A base of sources whose spec says for good which bytes it means.

    What a transfer finds under a tag or a key is then what the image stays.
    """

    def selector(self) -> None:
        """Return that there is nothing to look up: a transfer asks the store."""

    def followed(self) -> None:
        """Return that nothing can be asked for a newer version."""

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
