"""The status of a CloudImage: what the operator saw and did."""

from typing import Annotated, Literal

from pydantic import Field

from cloudimage.api.meta import ApiModel, Condition, ResourceStatus, Timestamp, conditions_field

Hashes = Annotated[dict[str, str], Field(max_length=16)]
"""Hexadecimal hashes by algorithm."""


class SourceStatus(ApiModel):
    """What the source turned out to be, in the words of qemu-img info."""

    format: str | None = Field(default=None, description="Disk format found from the content.")
    virtual_size: int | None = Field(
        default=None, description="Size of the disk it describes, in bytes."
    )
    actual_size: int | None = Field(
        default=None,
        description="Size of the image file, in bytes: after it was expanded, before any "
        "conversion. Not known of what Glance fetched and converted by itself.",
    )
    size: int | None = Field(
        default=None,
        description="Size of the downloaded file, in bytes: of a compressed source it is smaller "
        "than the image file. Not known of what Glance fetched and converted by itself.",
    )
    checksums: Hashes | None = Field(
        default=None, description="Hashes of the downloaded file, by algorithm."
    )


class TransferProgress(ApiModel):
    """How far the bytes are."""

    stage: str = Field(
        description="Pending, Fetching, Verifying, Expanding, Inspecting, Converting, Uploading or "
        "Complete."
    )
    percent: int | None = Field(default=None, ge=0, le=100, description="Share of this stage done.")
    transferred_bytes: int | None = Field(default=None, description="Bytes moved in this stage.")
    total_bytes: int | None = Field(default=None, description="Bytes that this stage moves.")
    bytes_per_second: int | None = Field(default=None, description="Rate over the last seconds.")


class ServerReference(ApiModel):
    """A server that uses the image."""

    id: str = Field(description="The server's id.")
    name: str = Field(description="The server's name.")
    project_id: str = Field(alias="projectID", description="The project it belongs to.")


class UsedBy(ApiModel):
    """Who uses the image, as far as the credentials can see."""

    servers: int = Field(ge=0, description="Number of servers made from the image.")
    volumes: int | None = Field(
        default=None,
        ge=0,
        description="Number of volumes made from it, where the cloud has a volume service.",
    )
    sample: tuple[ServerReference, ...] = Field(
        default=(), max_length=5, description="A few of them."
    )
    scope: Literal["AllProjects", "OwnProject", "NoCompute"] = Field(
        description="How far the credentials can see: the servers of all projects, only those of "
        "their own, or a cloud without a compute service."
    )


class Revision(ApiModel):
    """One Glance image that was made for this object."""

    image_id: str = Field(alias="imageID", description="The Glance image.")
    digest: str = Field(description="Of all that its bytes depend on.")
    created: Timestamp | None = Field(default=None, description="When Glance made it.")
    current: bool = Field(description="Whether it is the one of status.imageID.")
    users: int | None = Field(
        default=None,
        ge=0,
        description="Number of servers and volumes made from it; not set where there may be some "
        "that cannot be seen.",
    )


class Summary(ApiModel):
    """Numbers as people read them, for the columns of kubectl get."""

    progress: str | None = Field(default=None, description='For instance "63%".')
    size: str | None = Field(default=None, description='For instance "2.0Gi".')


class CloudImageStatus(ResourceStatus):
    """What the operator saw and did."""

    image_id: str | None = Field(
        default=None, alias="imageID", description="The Glance image: the one to boot servers from."
    )
    digest: str | None = Field(
        default=None,
        description="Digest of all that the bytes depend on: source, conversion and stores. "
        "Written before a transfer starts.",
    )
    transfers_started: int | None = Field(
        default=None,
        ge=0,
        description="How many transfers were started for this object: the ids that they try follow "
        "from it. Written before each starts.",
    )
    method: str | None = Field(default=None, description="How the bytes went into Glance.")
    method_reason: str | None = Field(default=None, description="Why that way.")
    disk_format: str | None = Field(default=None, description="Disk format in Glance.")
    visibility: str | None = Field(default=None, description="Visibility in Glance.")
    size: int | None = Field(default=None, description="Size in Glance, in bytes.")
    virtual_size: int | None = Field(
        default=None, description="Size of the disk that a server sees, in bytes."
    )
    checksums: Hashes | None = Field(
        default=None, description="Hashes of the bytes in Glance, by algorithm."
    )
    source: SourceStatus | None = Field(
        default=None, description="What the source turned out to be."
    )
    progress: TransferProgress | None = Field(default=None, description="How far the bytes are.")
    used_by: UsedBy | None = Field(default=None, description="Who uses the image.")
    revisions: Annotated[tuple[Revision, ...], Field(max_length=128)] = Field(
        default=(), description="The images made for this object, the newest first."
    )
    summary: Summary | None = Field(default=None, description="Numbers as people read them.")
    synced_generation: int | None = Field(
        default=None,
        description="The metadata.generation that the image's metadata was last brought in line "
        "with: what differs later was changed in Glance.",
    )
    conditions: tuple[Condition, ...] = conditions_field(
        "Ready, Verified, Uploaded, Synced, PropertiesValid, DeletionBlocked; Reconciling and "
        "Stalled only while they are True."
    )
