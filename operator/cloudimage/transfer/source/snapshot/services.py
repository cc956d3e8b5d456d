"""What a source's Glance, Cinder and Nova are asked for a snapshot."""

import re
from collections.abc import Mapping
from typing import Any, Final

from pydantic import ConfigDict, Field

from cloudimage.transfer.interrupts import Interrupts
from cloudimage.transfer.source.snapshot.calls import Calls, Row

_PATCH_TYPE: Final = "application/openstack-images-v2.1-json-patch"
_WITH_ID: Final = "2.45"
"""The microversion since which Nova's answer to createImage has the image's id in its body."""


class Image(Row):
    """An image as ``GET /v2/images/{id}`` has it (Image API v2, "Show image").

    Attributes:
        block_device_mapping: JSON; of a snapshot of a server that boots from a volume.
    """

    model_config = ConfigDict(extra="allow")

    owner: str | None = None
    size: int | None = None
    updated_at: str | None = None
    block_device_mapping: str | None = None

    @property
    def properties(self) -> Mapping[str, Any]:
        """What else it has."""
        return self.model_extra or {}


class Images:
    """The source's Glance."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def show(self, identifier: str) -> Image | None:
        """Return an image; None: it is not there."""
        path, doing = f"/images/{identifier}", f"show image {identifier}"
        return self._calls.show(Image, path, None, doing, "get_image")

    def named(self, name: str) -> list[Image]:
        """Return the project's own images of a name."""
        found = self._calls.list(Image, "/images", "images", {"name": name}, "get_images")
        project = self._calls.project_id() if found else ""
        return [each for each in found if (each.name, each.owner) == (name, project)]

    def mark(self, identifier: str, properties: Mapping[str, str]) -> None:
        """Set properties of an image; one that is gone by now is missed by who waits for it."""
        patch = [{"op": "add", "path": f"/{key}", "value": it} for key, it in properties.items()]
        path, doing = f"/images/{identifier}", f"mark image {identifier}"
        headers = {"Content-Type": _PATCH_TYPE}
        self._calls.try_("PATCH", path, doing, "modify_image", json=patch, headers=headers)

    def delete(self, identifier: str) -> None:
        """Delete an image; gone already is fine."""
        self._calls.delete(f"/images/{identifier}", f"delete image {identifier}", "delete_image")


class Volume(Row):
    """A volume as ``GET /v3/{project_id}/volumes/{id}`` has it; its size is in GiB."""

    size: int = Field(ge=0)
    encrypted: bool = False
    bootable: str = ""
    volume_image_metadata: Mapping[str, str] = Field(default_factory=dict)


class VolumeSnapshot(Row):
    """A snapshot of a volume; its size is in GiB."""

    size: int = Field(ge=0)


class Volumes:
    """The source's Cinder."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def are_offered(self) -> bool:
        """Return whether the cloud has volumes."""
        return self._calls.is_offered()

    def show(self, identifier: str) -> Volume | None:
        """Return a volume; None: it is not there."""
        path, doing = f"/volumes/{identifier}", f"show volume {identifier}"
        return self._calls.show(Volume, path, "volume", doing, "volume:get")

    def named(self, name: str) -> list[Volume]:
        """Return the project's volumes of a name."""
        path, right = "/volumes/detail", "volume:get_all"
        found = self._calls.list(Volume, path, "volumes", {"name": name}, right)
        return [each for each in found if each.name == name]

    def snapshot(self, identifier: str) -> VolumeSnapshot | None:
        """Return a snapshot; None: it is not there."""
        path, doing = f"/snapshots/{identifier}", f"show volume snapshot {identifier}"
        return self._calls.show(VolumeSnapshot, path, "snapshot", doing, "volume:get_snapshot")

    def snapshots_named(self, name: str) -> list[VolumeSnapshot]:
        """Return the project's snapshots of a name."""
        path, right = "/snapshots/detail", "volume:get_all_snapshots"
        found = self._calls.list(VolumeSnapshot, path, "snapshots", {"name": name}, right)
        return [each for each in found if each.name == name]

    def create(self, name: str, snapshot: VolumeSnapshot) -> str:
        """Make a volume of a snapshot, and return its id."""
        doing = f"make a volume of snapshot {snapshot.id}"
        wanted = {"name": name, "snapshot_id": snapshot.id, "size": snapshot.size}
        body = {"volume": wanted}
        response = self._calls.send("POST", "/volumes", doing, "volume:create", json=body)
        return self._calls.id_of(response, "volume", "id")

    def upload(self, identifier: str, name: str, shape: str, *, force: bool) -> str:
        """Make an image of a volume, and return the image's id."""
        doing, path = f"make an image of volume {identifier}", f"/volumes/{identifier}/action"
        wanted = {
            "image_name": name,
            "disk_format": shape,
            "container_format": "bare",
            "force": force,
        }
        right, action = "volume_extension:volume_actions:upload_image", "os-volume_upload_image"
        response = self._calls.send("POST", path, doing, right, json={action: wanted})
        return self._calls.id_of(response, action, "image_id")

    def delete(self, identifier: str) -> None:
        """Begin to delete a volume; gone already is fine."""
        self._calls.delete(f"/volumes/{identifier}", f"delete volume {identifier}", "volume:delete")

    def delete_snapshot(self, identifier: str) -> None:
        """Begin to delete a snapshot; gone already is fine."""
        path, doing = f"/snapshots/{identifier}", f"delete volume snapshot {identifier}"
        self._calls.delete(path, doing, "volume:delete_snapshot")


class Attachment(Row):
    """A volume that a server has."""


class Server(Row):
    """A server as ``GET /servers/{id}`` has it.

    Attributes:
        image: What it was booted from; a text, which is empty, where that was a volume.
        task: What Nova does with it just now; None: nothing.
    """

    image: Mapping[str, Any] | str = ""
    metadata: Mapping[str, str] = Field(default_factory=dict)
    task: str | None = Field(default=None, alias="OS-EXT-STS:task_state")
    volumes: tuple[Attachment, ...] = Field(
        default=(), alias="os-extended-volumes:volumes_attached"
    )

    @property
    def image_id(self) -> str | None:
        """Id of the image that it was booted from."""
        found = self.image.get("id") if isinstance(self.image, Mapping) else None
        return found if isinstance(found, str) and re.fullmatch(r"[\w-]{1,64}", found) else None


class Servers:
    """The source's Nova."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def are_offered(self) -> bool:
        """Return whether the cloud has servers."""
        return self._calls.is_offered()

    def show(self, identifier: str) -> Server | None:
        """Return a server; None: it is not there."""
        path, doing = f"/servers/{identifier}", f"show server {identifier}"
        return self._calls.show(Server, path, "server", doing, "os_compute_api:servers:show")

    def named(self, name: str) -> list[Server]:
        """Return the project's servers of a name, which Nova takes as a regular expression."""
        found = self.listed({"name": f"^{re.escape(name)}$"})
        return [each for each in found if each.name == name]

    def listed(self, query: Mapping[str, str]) -> list[Server]:
        """Return the project's servers that fit a query."""
        path, right = "/servers/detail", "os_compute_api:servers:detail"
        return self._calls.list(Server, path, "servers", query, right)

    def create_image(self, identifier: str, name: str, properties: Mapping[str, str]) -> str:
        """Make a snapshot of a server, with these properties from the beginning; return its id."""
        doing, path = f"make a snapshot of server {identifier}", f"/servers/{identifier}/action"
        body = {"createImage": {"name": name, "metadata": dict(properties)}}
        right = "os_compute_api:servers:create_image"
        response = self._calls.send("POST", path, doing, right, json=body, microversion=_WITH_ID)
        return self._calls.id_of(response, "image_id")

    def act(self, identifier: str, action: str) -> None:
        """Have Nova begin ``os-stop`` or ``os-start``."""
        doing, path = f"do {action} with server {identifier}", f"/servers/{identifier}/action"
        right = f"os_compute_api:servers:{action.removeprefix('os-')}"
        self._calls.send("POST", path, doing, right, json={action: None})

    def note(self, identifier: str, name: str, value: str) -> None:
        """Set an item of a server's metadata."""
        path, doing = f"/servers/{identifier}/metadata", f"mark server {identifier}"
        right = "os_compute_api:server-metadata:create"
        self._calls.send("POST", path, doing, right, json={"metadata": {name: value}})

    def forget(self, identifier: str, name: str) -> None:
        """Take an item of a server's metadata away."""
        path, doing = f"/servers/{identifier}/metadata/{name}", f"unmark server {identifier}"
        self._calls.delete(path, doing, "os_compute_api:server-metadata:delete")


class Services:
    """All of them."""

    def __init__(self, connection: Any, interrupts: Interrupts) -> None:  # noqa: ANN401 - the SDK's
        self.images = Images(Calls(connection, "image", interrupts))
        self.volumes = Volumes(Calls(connection, "block_storage", interrupts))
        self.servers = Servers(Calls(connection, "compute", interrupts))
