"""What a transfer is asked for: one image to move."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import Discriminator, Field, Tag, TypeAdapter

from cloudimage.access.policy import CloudPolicy
from cloudimage.transfer.contract import (
    Checksum,
    Cloud,
    Import,
    Limits,
    Model,
    NewImage,
    Source,
    UrlPolicy,
)
from cloudimage.transfer.customize.model import Customize
from cloudimage.transfer.findings import LintMode
from cloudimage.transfer.source.file.model import FileSource
from cloudimage.transfer.source.glance.model import GlanceSource
from cloudimage.transfer.source.http.model import HttpSource
from cloudimage.transfer.source.oci.model import OciSource
from cloudimage.transfer.source.s3.model import S3Source
from cloudimage.transfer.source.server.model import ServerSource
from cloudimage.transfer.source.swift.model import SwiftSource
from cloudimage.transfer.source.volume.model import VolumeSource

if TYPE_CHECKING:
    AnySource = Source
else:
    AnySource = Annotated[
        HttpSource
        | GlanceSource
        | ServerSource
        | VolumeSource
        | OciSource
        | S3Source
        | SwiftSource
        | FileSource,
        Field(discriminator="type"),
    ]
"""The source of a request, whose ``type`` says which kind it is."""


class LookRequest(Model):
    """A source that is asked which version it has.

    Attributes:
        cloud: The object's own, where the source may be in it.
        scratch: A folder for what must touch the disk.
        cache: A folder on the same file system, for publishers' lists; shared by all.
        list_age: Seconds for which a list that is kept need not be asked for again.
        policy: Where the source may be.
        cloud_policy: Where a cloud may be.
    """

    type: Literal["look"] = "look"
    source: AnySource
    cloud: Cloud | None = None
    scratch: Path
    cache: Path
    list_age: float = 0.0
    policy: UrlPolicy = UrlPolicy()
    cloud_policy: CloudPolicy = CloudPolicy()
    limits: Limits = Limits()


class TransferRequest(Model):
    """One image to move.

    Attributes:
        scratch: A folder for what must touch the disk. The transfer makes a folder of its own in
            it and removes that whatever happens.
        cache: A folder on the same file system for sources: shared by all transfers, it outlives
            them. A source that is there is not fetched again, and one that was fetched in part is
            resumed. None: the source goes with the transfer.
        across_nodes: Whether transfers on other nodes also share the cache.
        pinned: Checksum of the file that an image was made from before, by the same spec; a source
            that has another one is refused.
        version: What the source's store must call the bytes; None: whatever it has.
        list_age: Seconds for which a publisher's list that is kept need not be asked for again;
            None: it is fetched.
        policy: Where the source may be.
        cloud_policy: Where the cloud may be.
        lint: Whether the image is looked into.
        customize: What is done to the image before it is uploaded, if anything.
        appliance: The folder of libguestfs' fixed appliance, where that can be done; None: here it
            cannot.
    """

    source: AnySource
    image: NewImage
    cloud: Cloud
    scratch: Path
    cache: Path | None = None
    across_nodes: bool = False
    method: Import = Import()
    pinned: Checksum | None = None
    version: str | None = None
    list_age: float | None = None
    policy: UrlPolicy = UrlPolicy()
    cloud_policy: CloudPolicy = CloudPolicy()
    limits: Limits = Limits()
    lint: LintMode = "Skip"
    customize: Customize | None = None
    appliance: Path | None = None

    @property
    def must_be_read(self) -> bool:
        """Whether the bytes must all be at hand before any of them is in Glance."""
        return self.customize is not None or self.lint in {"Warn", "Enforce"}


def _kind(request: Any) -> str:  # noqa: ANN401 - what came is not known to be a request
    return request.get("type", "transfer") if isinstance(request, dict) else "transfer"


REQUESTS: Final[TypeAdapter[TransferRequest | LookRequest]] = TypeAdapter(
    Annotated[
        Annotated[TransferRequest, Tag("transfer")] | Annotated[LookRequest, Tag("look")],
        Discriminator(_kind),
    ]
)
"""Parses what a process is asked for."""
