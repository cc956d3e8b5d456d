"""An image that its cloud makes for this transfer, and that is then read as any image of a Glance.

It is made under a label, so that whatever ends the transfer, the next one, or the operator, finds
it again: see :mod:`.labels` and :mod:`.leftovers`.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final, Protocol

from cloudimage.failpoints import Point, failpoint
from cloudimage.transfer.contract import NewImage, Reason, Stage, TransferError
from cloudimage.transfer.source.base import Context, Ends
from cloudimage.transfer.source.glance.client import cloud_of, connected
from cloudimage.transfer.source.glance.model import CloudSource, GlanceSource
from cloudimage.transfer.source.glance.reader import GlanceReader
from cloudimage.transfer.source.hashes import Fetched
from cloudimage.transfer.source.snapshot.labels import label
from cloudimage.transfer.source.snapshot.leftovers import clear, is_record, restart
from cloudimage.transfer.source.snapshot.patience import Patience
from cloudimage.transfer.source.snapshot.rules import shown
from cloudimage.transfer.source.snapshot.services import Image, Services
from cloudimage.transfer.source.streamed import Streamed
from cloudimage.transfer.verify.verification import Expected

CLEARING_SECONDS: Final = 60.0
"""How long Cinder may take to delete a volume before that is left to it."""

_ALIVE_SECONDS: Final = 30.0
"""How often it counts as something new that the cloud says that it is at work."""

_COMING: Final = frozenset({"queued", "saving", "uploading", "importing"})
_UNPROVEN: Final = "its Glance takes a hash of the snapshot as it is stored; none is known before"

_log = logging.getLogger(__name__)


class Maker(Protocol):
    """What a kind of source has made of it.

    Attributes:
        repeats: Whether it would be made of the same bytes a second time.
    """

    repeats: bool

    def look(self) -> str:
        """Return the id of what it is made of, which can be taken a snapshot of just now.

        Raises:
            TransferError: It cannot, or is not there.
        """

    def stopped(self) -> str | None:
        """Return the id of the server that may have been stopped for it, if that can be."""

    def is_at_work(self) -> bool:
        """Return whether the cloud says that it is making the image.

        Raises:
            TransferError: It says nothing.
        """

    def make(self, name: str, image: NewImage) -> str:
        """Begin to make the image under this name, and return its id.

        Raises:
            TransferError: The cloud refuses.
        """

    def follow(self, record: Image, name: str, image: NewImage) -> str:
        """Begin to make an image of the boot disk that a record names, and return its id.

        Raises:
            TransferError: It names no disk, or the cloud refuses.
        """


def services_of(source: CloudSource, context: Context) -> Services:
    """Return the services of a source's cloud.

    Raises:
        TransferError: ``InvalidCredentials``.
    """
    cloud = cloud_of(source, context.cloud)
    return Services(connected(cloud, context.cloud_policy, context.folder), context.interrupts)


@contextmanager
def opened(
    source: CloudSource, services: Services, maker: Maker, context: Context
) -> Iterator["SnapshotReader"]:
    """Open a source of such an image; in the end it is deleted, unless it has become the image."""
    reader = SnapshotReader(source, services, maker, context)
    try:
        yield reader
    finally:
        with context.interrupts.deferred():
            reader.close()


class SnapshotReader:
    """A :class:`cloudimage.transfer.source.base.Reader` of an image made for it."""

    def __init__(
        self, source: CloudSource, services: Services, maker: Maker, context: Context
    ) -> None:
        self._source = source
        self._services = services
        self._maker = maker
        self._context = context
        self._label = label(context.image.id_seed) if context.image else ""
        self._image: Image | None = None
        self._inner: GlanceReader | None = None
        self._begun = False
        self._version: str | None = None

    def expect(self) -> Expected:
        """Have the image made, and find out what it must be by what its Glance says of it."""
        wanted = self._context.image
        if wanted is None:
            self._check_pinned()
            return Expected(version=self._maker.look(), warnings=(_UNPROVEN,))
        self._context.meter.start(Stage.SNAPSHOTTING)
        self._begun = True
        self._image = self._active(self._identifier(wanted))
        failpoint(Point.SNAPSHOT, wanted.name)
        if is_record(self._image):
            followed = self._maker.follow(self._image, self._label, wanted)
            self._image = self._active(followed)
        if server_id := self._maker.stopped():
            # It need not be off any longer.
            self._started(server_id)
        self._context.meter.start(Stage.FETCHING)
        source = self._source.model_dump(include={"cloud_name", "clouds_yaml", "ca_certificate"})
        self._inner = GlanceReader(GlanceSource(id=self._image.id, **source), self._context)
        return replace(self._inner.expect(), version=self._version)

    def _identifier(self, wanted: NewImage) -> str:
        """Return the image that an earlier transfer has had made, or have one made."""
        named = self._services.images.named(self._label)
        found = [each for each in named if each.status in _COMING | {"active"}]
        if found:
            found.sort(key=is_record)  # what was made by a record is nearer to the end
            _log.info("going on with image %s of an earlier transfer", found[0].id)
            return found[0].id
        self._check_pinned()
        # Volumes, for instance, that were to become an image and did not.
        clear(self._services, self._label, CLEARING_SECONDS)
        self._version = self._maker.look()
        return self._maker.make(self._label, wanted)

    def _check_pinned(self) -> None:
        if self._context.pinned is not None and not self._maker.repeats:
            raise TransferError(
                Reason.SOURCE_CHANGED,
                "the image that was made from the snapshot is lost, and a snapshot taken now would "
                "not have its bytes. None was taken. To have one taken, change trigger in "
                "spec.source, or set spec.sourceChangePolicy to Accept",
            )

    def _active(self, identifier: str) -> Image:
        def look() -> tuple[Image | None, object]:
            image = self._services.images.show(identifier)
            if image is None or image.status not in _COMING | {"active"}:
                state = "was deleted" if image is None else f"has the status {shown(image.status)}"
                raise TransferError(
                    Reason.SNAPSHOT_FAILED,
                    f"the source cloud gave up making the snapshot: its image {identifier} "
                    f"{state}. The server's events, or Cinder's messages, say why; its quota of "
                    "images may be used up",
                )
            if image.status == "active":
                return image, None
            # Neither Glance nor who sends it the bytes says how many there are yet.
            alive = self._maker.is_at_work() and int(time.monotonic() / _ALIVE_SECONDS)
            return None, (image.status, image.updated_at, alive)

        seconds = self._context.limits.silence_seconds
        return Patience(seconds, f"image {identifier} is active").until(look)

    def _started(self, server_id: str) -> None:
        def look() -> tuple[bool | None, object]:
            return (None if restart(self._services, self._label, server_id) else True), None

        Patience(self._context.limits.silence_seconds, f"server {server_id} starts").until(look)

    def look(self, min_disk: int | None) -> Ends:
        """Return what the image's ends tell, once there is one."""
        if self._inner is None:
            return Ends(None, why_unknown="the snapshot is taken by the transfer")
        return self._inner.look(min_disk)

    def discarding(self) -> AbstractContextManager[None]:
        """Forget the kept file if the block fails because of its bytes."""
        return self._read.discarding()

    def is_kept(self) -> bool:
        """Return whether the file, or a part of it, is in the scratch already."""
        return self._read.is_kept()

    def as_it_is(self) -> str | None:
        """Return the image's id if it is in the very project of the transfer; None: it is not."""
        same = self._source.cloud_name is None and self._image is not None
        return self._image.id if same and self._image else None

    def stream(self, image: NewImage) -> Streamed | None:
        """Return the image if it needs no look at all of it, and its Glance gives parts of it."""
        return self._read.stream(image)

    def can_fetch_after(self, error: TransferError) -> bool:
        """Return whether the scratch helps."""
        return self._read.can_fetch_after(error)

    def fetch(self, target: Path) -> Fetched:
        """Put the image's bytes at ``target``."""
        return self._read.fetch(target)

    def close(self) -> None:
        """Delete all that was made, and what is kept of it; failing that, note it down."""
        if not self._begun:
            return
        try:
            if self._inner is not None:
                self._inner.forget()
            server_id = self._maker.stopped()
            done = clear(self._services, self._label, CLEARING_SECONDS, server_id=server_id)
        except TransferError as error:
            _log.warning("%s", error.message)
            done = False
        if not done:
            _log.error("something called %s is left behind in the source's cloud", self._label)

    @property
    def _read(self) -> GlanceReader:
        if self._inner is None:
            raise ValueError("unreachable: expect() comes first")
        return self._inner
