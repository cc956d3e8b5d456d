"""What the pipeline knows of a source, whatever kind it is."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from cloudimage.access.policy import CloudPolicy
from cloudimage.transfer.contract import (
    Checksum,
    Cloud,
    Limits,
    NewImage,
    TransferError,
    UrlPolicy,
)
from cloudimage.transfer.image.conversion import Payload
from cloudimage.transfer.image.inspection import Inspected
from cloudimage.transfer.interrupts import Interrupts
from cloudimage.transfer.progress import Meter
from cloudimage.transfer.scratch import Cache
from cloudimage.transfer.source.hashes import Fetched
from cloudimage.transfer.tools.toolbox import Toolbox
from cloudimage.transfer.verify.verification import Expected


@dataclass(frozen=True)
class Context:
    """What a transfer lends to its source.

    Attributes:
        folder: The transfer's own; it is removed with the transfer.
        cache: Where what was fetched is kept for other transfers.
        policy: Which addresses may be asked.
        cloud: The one that the image is made in; None: it is made in none.
        cloud_policy: Which addresses clouds may be at.
        list_age: Seconds for which a publisher's list that is kept need not be asked for again;
            None: each is fetched.
        image: What is to be made of the source; None: it is only looked at, and nothing may be
            made for it, in its own cloud either.
        pinned: Checksum of the file that the image was made from before, if any.
        interrupts: What may end the transfer at any moment.
    """

    folder: Path
    cache: Cache
    limits: Limits
    policy: UrlPolicy
    meter: Meter
    tools: Toolbox
    cloud: Cloud | None = None
    cloud_policy: CloudPolicy = field(default_factory=CloudPolicy)
    list_age: float | None = None
    image: NewImage | None = None
    pinned: Checksum | None = None
    interrupts: Interrupts = field(default_factory=Interrupts)


@dataclass(frozen=True)
class Ends:
    """What the beginning and the end of a source file tell of it, before it is fetched.

    Attributes:
        size: Bytes of the source file; None: its server does not say.
        found: What it is; None: its ends do not tell.
        why_unknown: Why they do not, as a sentence.
    """

    size: int | None
    found: Inspected | None = None
    why_unknown: str = ""


class Stream(Protocol):
    """A source on its way into Glance, with no disk between.

    Attributes:
        found: What it is.
        payload: Its bytes, read as they are asked for.
        fetched: What arrived, once it has.
    """

    found: Inspected
    payload: Payload
    fetched: Fetched


class Reader(Protocol):
    """A source that is open for one transfer; its methods are called in this order."""

    def expect(self) -> Expected:
        """Find out what the source must be, before any of its bytes come.

        Raises:
            TransferError: Nothing that would prove it can be had, or it does not fit.
        """

    def look(self, min_disk: int | None) -> Ends:
        """Return what the file's ends tell, without fetching it.

        Args:
            min_disk: GiB that its disk must fit in, if any.

        Raises:
            TransferError: It is not available, or would be refused for what its ends show.
        """

    def discarding(self) -> AbstractContextManager[None]:
        """Forget what is kept of the source if the block fails because of its bytes."""

    def is_kept(self) -> bool:
        """Return whether the file, or a part of it, is in the scratch already."""

    def stream(self, image: NewImage) -> Stream | None:
        """Return the source if it can go into Glance as it comes; None: it has to be fetched."""

    def can_fetch_after(self, error: TransferError) -> bool:
        """Return whether fetching may succeed where the stream failed with this."""

    def fetch(self, target: Path) -> Fetched:
        """Put the whole file at ``target``, for reading only; resume an interrupted fetch.

        Raises:
            TransferError: It cannot be had, or is not what it must be.
        """


@runtime_checkable
class Made(Protocol):
    """A reader whose source is an image that was made for this transfer alone."""

    def as_it_is(self) -> str | None:
        """Return the image's id if it is in the very project of the transfer; None: it is not."""


Opener = Callable[[Any, Context], AbstractContextManager[Reader]]
"""Opens a source of its kind for a transfer."""
