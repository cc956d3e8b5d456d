"""Has Nova make a snapshot of a server; of a boot disk that is a volume, Cinder the image."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from cloudimage.failpoints import Point, failpoint
from cloudimage.transfer.contract import Limits, NewImage, Reason, TransferError
from cloudimage.transfer.source.server import rules
from cloudimage.transfer.source.server.model import ServerSource
from cloudimage.transfer.source.snapshot.labels import STOPPED, marks
from cloudimage.transfer.source.snapshot.leftovers import snapshot_ids
from cloudimage.transfer.source.snapshot.patience import Patience
from cloudimage.transfer.source.snapshot.rules import only, shown, there
from cloudimage.transfer.source.snapshot.services import (
    Image,
    Server,
    Services,
    VolumeSnapshot,
)
from cloudimage.transfer.source.volume.maker import is_uploading, upload, volume_of


class ServerMaker:
    """A :class:`cloudimage.transfer.source.snapshot.reader.Maker` of a server."""

    repeats = False

    def __init__(self, source: ServerSource, services: Services, limits: Limits) -> None:
        self._source = source
        self._services = services
        self._limits = limits
        self._server: Server | None = None
        self._volume_id: str | None = None

    def look(self) -> str:
        """Return the id of the server, which can be taken a snapshot of just now."""
        if not self._services.servers.are_offered():
            raise TransferError(Reason.SOURCE_NOT_FOUND, "the source's cloud has no servers")
        self._server = server = self._found()
        rules.check(server)
        if rules.must_know_image(self._source, server):
            rules.check_quiesce(self._source, server, self._image_properties(server))
        return server.id

    def _found(self) -> Server:
        servers = self._services.servers
        if self._source.name is None:
            identifier = self._source.id or ""
            return there(servers.show(identifier), "server", identifier)
        named = only(servers.named(self._source.name), "server", self._source.name)
        return there(servers.show(named.id), "server", named.id)

    def _image_properties(self, server: Server) -> Mapping[str, Any] | None:
        """Return the properties of what the server was made of, as far as they can be seen."""
        if server.image_id is not None:
            image = self._services.images.show(server.image_id)
            return None if image is None else image.properties
        shown = [self._services.volumes.show(each.id) for each in server.volumes]
        bootable = [each for each in shown if each is not None and each.bootable == "true"]
        # Nova shows only administrators which of several is the boot disk.
        return bootable[0].volume_image_metadata if len(bootable) == 1 else None

    def stopped(self) -> str | None:
        """Return the id of the server, if it is to be stopped."""
        return self._known_id() if self._source.stop_first else None

    def _known_id(self) -> str | None:
        if self._server is None:
            with suppress(TransferError):
                self._server = self._found()
        return self._server.id if self._server else None

    def is_at_work(self) -> bool:
        """Return whether Nova says that it is at work with the server, or Cinder for it."""
        identifier = self._known_id()
        server = self._services.servers.show(identifier) if identifier else None
        if server is not None and server.task is not None:
            return True
        return self._volume_id is not None and is_uploading(self._services, self._volume_id)

    def make(self, name: str, image: NewImage) -> str:
        """Have the snapshot made."""
        server = self._server
        if server is None:
            raise ValueError("unreachable: look() comes first")
        if self._source.stop_first and server.status == "ACTIVE":
            self._stop(server, name)
            failpoint(Point.STOPPED, image.name)
        return self._services.servers.create_image(server.id, name, marks(image))

    def _stop(self, server: Server, name: str) -> None:
        # Before it is stopped, so that whoever finds it knows why it is off.
        self._services.servers.note(server.id, STOPPED, name)
        self._services.servers.act(server.id, "os-stop")

        def look() -> tuple[Server | None, object]:
            seen = there(self._services.servers.show(server.id), "server", server.id)
            off = seen.status == "SHUTOFF" and seen.task is None
            return (seen if off else None), (seen.status, seen.task)

        Patience(self._limits.silence_seconds, f"server {server.id} is stopped").until(look)

    def follow(self, record: Image, name: str, image: NewImage) -> str:
        """Have an image made of the boot disk's snapshot, by way of a volume."""
        identifiers = snapshot_ids(record)
        if not identifiers:
            raise TransferError(
                Reason.SOURCE_NOT_AN_IMAGE,
                f"the snapshot of the server, image {record.id}, names no snapshot of a volume: "
                "the server has no disk that an image could be made of",
            )
        volume = volume_of(self._services, self._ready(identifiers[0]), name, self._limits)
        self._volume_id = volume.id
        stays = self._source.cloud_name is None
        return upload(self._services, volume.id, name, image, stays=stays)

    def _ready(self, identifier: str) -> VolumeSnapshot:
        def look() -> tuple[VolumeSnapshot | None, object]:
            found = there(
                self._services.volumes.snapshot(identifier), "volume snapshot", identifier
            )
            if found.status not in {"creating", "available"}:
                raise TransferError(
                    Reason.SNAPSHOT_FAILED,
                    f"the source's Cinder could not make volume snapshot {identifier}: its status "
                    f"is {shown(found.status)}. Its messages (openstack volume message list) may "
                    "say why",
                )
            return (found if found.status == "available" else None), found.status

        wanted = f"volume snapshot {identifier} is available"
        return Patience(self._limits.silence_seconds, wanted).until(look)
