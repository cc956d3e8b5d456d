"""What the adapters return: plain values, free of the SDK."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class GlanceImage:
    """An image as Glance has it, in Glance's own terms.

    Attributes:
        min_disk: GiB.
        min_ram: MiB.
        size: Bytes stored; None before the upload.
        virtual_size: Bytes of the disk it describes, where Glance found out.
        hash_algo: Algorithm of ``hash_value``, for instance sha512.
        hash_value: Glance's hash of the stored bytes.
        stores: Ids of the stores that hold it, where Glance has several and says so.
        properties: The free-form properties.
    """

    id: str
    name: str | None
    status: str
    created_at: datetime
    owner: str | None
    visibility: str
    protected: bool
    hidden: bool
    disk_format: str | None
    container_format: str | None
    min_disk: int
    min_ram: int
    size: int | None
    virtual_size: int | None
    checksum: str | None
    hash_algo: str | None
    hash_value: str | None
    tags: frozenset[str] = frozenset()
    updated_at: datetime | None = None
    stores: tuple[str, ...] = ()
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Store:
    """One of several stores of a Glance."""

    id: str
    default: bool
    read_only: bool


@dataclass(frozen=True, slots=True)
class Limit:
    """What a project uses of one of Glance's limits, in that limit's unit.

    Attributes:
        limit: Negative: unlimited.
    """

    used: int
    limit: int


MemberStatus = Literal["pending", "accepted", "rejected"]


@dataclass(frozen=True, slots=True)
class Member:
    """A project that a shared image is shared with.

    Attributes:
        updated_at: When its status last changed.
    """

    project_id: str
    status: MemberStatus
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Project:
    """A Keystone project.

    Attributes:
        name: None: the credentials may not see it.
        is_checked: Whether Keystone said that it is there.
    """

    id: str
    name: str | None = None
    is_checked: bool = True


@dataclass(frozen=True, slots=True)
class Server:
    """A Nova server.

    Attributes:
        is_soft_deleted: It was deleted but can be restored until Nova reclaims it.
    """

    id: str
    name: str
    project_id: str
    is_soft_deleted: bool = False


@dataclass(frozen=True, slots=True)
class ServerChange:
    """A server that was made, changed or deleted.

    Attributes:
        image_id: What it was booted from; None: a volume.
        is_gone: It was deleted for good.
    """

    id: str
    image_id: str | None
    is_gone: bool


@dataclass(frozen=True, slots=True)
class ServerChanges:
    """What a listing of changed servers has.

    Attributes:
        date: When Nova began to answer, by its own clock; None: it did not say.
    """

    servers: tuple[ServerChange, ...]
    date: datetime | None


@dataclass(frozen=True, slots=True)
class Volume:
    """A Cinder volume.

    Attributes:
        server_ids: The servers that it is attached to.
    """

    id: str
    name: str
    project_id: str
    server_ids: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class TestServer:
    """A test's server, as Nova has it.

    Attributes:
        image_id: The image that is tested, of which its volume is made if it boots from one.
        status: Nova's: BUILD, ACTIVE, ERROR, ...
        fault: Why it is in ERROR: one clean line.
        task_state: What Nova does with it just now, or None.
        launched_at: When its guest was started; None: not yet.
        addresses: What Nova gave it.
        token: The test's.
    """

    id: str
    name: str
    image_id: str | None
    status: str
    fault: str | None
    task_state: str | None
    created_at: datetime
    launched_at: datetime | None
    addresses: tuple[IPv4Address | IPv6Address, ...]
    token: str | None
    metadata: Mapping[str, str] = field(default_factory=dict)


Scope = Literal["AllProjects", "OwnProject", "NoCompute", "Refused"]
"""Whose servers a listing holds; Refused: Nova does not list any for these credentials."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What was made from an image, as far as the credentials can see.

    Attributes:
        scope: Whose servers these are.
        volumes: None: the cloud has no volume service, or none for these credentials.
    """

    servers: tuple[Server, ...]
    scope: Scope
    volumes: tuple[Volume, ...] | None = None

    @property
    def in_use(self) -> bool:
        """Whether anything uses the image."""
        return bool(self.servers or self.volumes)


JsonPatch = tuple[Mapping[str, Any], ...]
"""Operations of RFC 6902, as Glance's ``PATCH /v2/images/{id}`` takes them."""
