"""The status of a CloudImage."""

from typing import Annotated, Final, Literal

from pydantic import Field

from cloudimage.api.boot_test import BootTestStatus
from cloudimage.api.customize import StepStatus
from cloudimage.api.follow import FollowStatus
from cloudimage.api.meta import ApiModel, Condition, ResourceStatus, Timestamp, conditions_field
from cloudimage.api.publish import PublishedStatus
from cloudimage.api.resolved_source import ResolvedSource

Hashes = Annotated[dict[str, str], Field(max_length=16)]
"""Hexadecimal hashes by algorithm."""


class SourceStatus(ApiModel):
    """What was found out about the source file, in the terms of qemu-img info."""

    format: str | None = Field(default=None, description="Disk format, detected from the content.")
    virtual_size: int | None = Field(
        default=None, description="Virtual size of the disk, in bytes."
    )
    actual_size: int | None = Field(
        default=None,
        description="Size of the image file in bytes, after unpacking and before conversion. "
        "Unknown if Glance fetched and converted the file itself.",
    )
    size: int | None = Field(
        default=None,
        description="Size of the source file in bytes; a compressed one is smaller than the image "
        "file. Unknown if Glance fetched and converted the file itself.",
    )
    checksums: Hashes | None = Field(
        default=None, description="Hashes of the source file, by algorithm."
    )
    verified_by: str | None = Field(
        default=None,
        description="Algorithm of the checksum that the source file matched; not set if no "
        "checksum was known.",
    )
    version: str | None = Field(
        default=None,
        description="What the source's store calls the bytes, where the spec may mean others "
        "later, such as the digest of a tag. It is known of what this operator fetched.",
    )
    last_modified: Timestamp | None = Field(
        default=None, description="When its server says the file was last changed (Last-Modified)."
    )


class UploadStatus(ApiModel):
    """Where the file of spec.source.upload is to go."""

    project_id: str | None = Field(
        default=None,
        alias="projectID",
        description="Id of the project that the image must be made in, that of the credentials.",
    )
    secret_uid: str | None = Field(
        default=None,
        alias="secretUID",
        description="UID of the Secret with the credentials, by which an image of ours is known.",
    )


class CopiedMetadata(ApiModel):
    """What was copied of the metadata of the source's image."""

    source: str | None = Field(
        default=None,
        description="Id of that image; not set while it cannot be asked, and what the image here "
        "has stands for it.",
    )
    container_format: str | None = Field(default=None, description="Its container_format.")
    min_disk_gib: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = Field(
        default=None, alias="minDiskGiB", description="Its min_disk, in GiB."
    )
    min_ram_mib: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = Field(
        default=None, alias="minRamMiB", description="Its min_ram, in MiB."
    )
    tags: Annotated[tuple[str, ...], Field(max_length=128)] = Field(
        default=(), description="Its tags."
    )
    properties: Annotated[dict[str, str], Field(max_length=120)] = Field(
        default={}, description="Those of its properties that mean the same here."
    )
    left_out: Annotated[tuple[str, ...], Field(max_length=256)] = Field(
        default=(), description="What was not copied, by Glance's names."
    )


class TransferProgress(ApiModel):
    """Progress of the transfer."""

    stage: str = Field(
        description="Pending, Snapshotting, Fetching, Verifying, Expanding, Inspecting, "
        "Customizing, Converting, Uploading or Complete."
    )
    percent: int | None = Field(
        default=None, ge=0, le=100, description="Percentage of this stage that is done."
    )
    transferred_bytes: int | None = Field(
        default=None, description="Bytes processed in this stage."
    )
    total_bytes: int | None = Field(
        default=None, description="Bytes that this stage has to process."
    )
    bytes_per_second: int | None = Field(
        default=None, description="Bytes per second over the last few seconds."
    )


class ServerReference(ApiModel):
    """A server made from the image."""

    id: str = Field(description="The server's id.")
    name: str = Field(description="The server's name.")
    project_id: str = Field(
        alias="projectID", description="The project that the server belongs to."
    )


class UsedBy(ApiModel):
    """What uses the image, as far as the credentials can see."""

    servers: int | None = Field(
        default=None,
        ge=0,
        description="Number of servers made from the image, soft-deleted ones too; not set if the "
        "compute service does not list servers for these credentials.",
    )
    volumes: int | None = Field(
        default=None,
        ge=0,
        description="Number of volumes made from the image, if the cloud has a volume service.",
    )
    sample: tuple[ServerReference, ...] = Field(
        default=(), max_length=5, description="Some of the servers."
    )
    last_check_time: Timestamp | None = Field(
        default=None, description="When the cloud was asked; it is asked again at each resync."
    )
    scope: Literal["AllProjects", "OwnProject", "NoCompute", "Refused"] = Field(
        description="What the credentials can see: the servers of all projects, or only of their "
        "own; none, because the cloud has no compute service, or because that refuses the "
        "credentials."
    )


class ImageStatus(ApiModel):
    """The image as Glance has it."""

    name: str | None = Field(default=None, description="Its name.")
    status: str | None = Field(default=None, description="Its status, for example active.")
    owner: str | None = Field(default=None, description="Id of the project that owns it.")
    created: Timestamp | None = Field(default=None, description="When it was created.")
    updated: Timestamp | None = Field(default=None, description="When it was last changed.")
    container_format: str | None = Field(default=None, description="Its container_format.")
    min_disk_gib: int | None = Field(
        default=None, alias="minDiskGiB", description="Its min_disk, in GiB."
    )
    min_ram_mib: int | None = Field(
        default=None, alias="minRamMiB", description="Its min_ram, in MiB."
    )
    protected: bool | None = Field(default=None, description="Whether it is protected.")
    hidden: bool | None = Field(default=None, description="Its os_hidden.")
    tags: Annotated[tuple[str, ...], Field(max_length=128)] = Field(
        default=(), description="Its tags."
    )
    stores: Annotated[tuple[str, ...], Field(max_length=64)] = Field(
        default=(), description="Stores that hold it, if Glance has several and says so."
    )
    properties: Annotated[dict[str, str], Field(max_length=128)] | None = Field(
        default=None,
        description="The properties of an Unmanaged image; of more than 128 the first, and of "
        "longer values 1024 bytes.",
    )


MOST_FINDINGS: Final = 32
"""Of a look into an image; a test compares it with what a transfer tells."""

MOST_PROJECTS: Final = 10
"""Projects that are named for each revision."""


class LintFinding(ApiModel):
    """What was found in the image that does not belong in a cloud."""

    rule: str = Field(max_length=64, description="The rule that it departs from.")
    path: str = Field(max_length=255, description="The file in the image.")
    message: str = Field(max_length=512, description="What it means, and what to do.")


class ProjectUse(ApiModel):
    """What one project has made from an image."""

    project_id: str = Field(max_length=255, alias="projectID", description="Id of the project.")
    servers: int = Field(ge=0, description="Number of its servers made from the image.")
    volumes: int = Field(ge=0, description="Number of its volumes made from the image.")


class Revision(ApiModel):
    """A Glance image made for this object."""

    image_id: str = Field(alias="imageID", description="Id of the Glance image.")
    digest: str = Field(description="The image's content key; see status.digest.")
    created: Timestamp | None = Field(
        default=None, description="When the image was created in Glance."
    )
    source: Annotated[str, Field(max_length=2048)] | None = Field(
        default=None,
        description="What the image was made from, for example the source's URL; not set if it "
        "is unknown.",
    )
    source_checksum: Annotated[str, Field(max_length=256)] | None = Field(
        default=None,
        description="Checksum of the source file, as algorithm:value. An image of the same spec "
        "that is lost is made again from that file only; see spec.sourceChangePolicy.",
    )
    version: Annotated[str, Field(max_length=1024)] | None = Field(
        default=None, description="The source's version that it was made from, if that is known."
    )
    built: Annotated[str, Field(max_length=10)] | None = Field(
        default=None,
        description="The day of its build (YYYY-MM-DD, UTC), if that is known: by the version, "
        "else by the Last-Modified of the file.",
    )
    current: bool = Field(description="Whether this is the image in status.imageID.")
    users: int | None = Field(
        default=None,
        ge=0,
        description="Number of servers and volumes made from the image; not set if there may be "
        "some that the credentials cannot see.",
    )
    projects: Annotated[tuple[ProjectUse, ...], Field(max_length=MOST_PROJECTS)] | None = Field(
        default=None,
        description="Which projects these belong to, those with the most first.",
    )
    other_projects: int | None = Field(
        default=None, ge=1, description="Number of further projects that use it."
    )
    replaced: Timestamp | None = Field(
        default=None,
        description="When the image was replaced: it ages from then, as spec.retention says.",
    )


class Summary(ApiModel):
    """Human-readable numbers for the columns of kubectl get."""

    progress: str | None = Field(default=None, description='For example "63%".')
    size: str | None = Field(default=None, description='For example "2.0Gi".')
    in_use: str | None = Field(
        default=None,
        description="Number of servers made from the image when it was last checked; with a plus "
        "sign if there may be others that the credentials cannot see.",
    )


class CloudImageStatus(ResourceStatus):
    """The observed state."""

    image_id: str | None = Field(
        default=None, alias="imageID", description="Id of the Glance image to boot servers from."
    )
    digest: str | None = Field(
        default=None,
        description="The content key: what the bytes depend on (source, conversion and stores) in "
        "one value. Written before a transfer starts.",
    )
    transfers_started: int | None = Field(
        default=None,
        ge=0,
        description="Number of transfers started for this object; image ids are derived from it. "
        "Written before each transfer starts.",
    )
    method: str | None = Field(default=None, description="How the bytes got into Glance.")
    method_reason: str | None = Field(default=None, description="Why that method was used.")
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
        default=None, description="What was found out about the source file."
    )
    described_image_id: str | None = Field(
        default=None,
        alias="describedImageID",
        description="Id of the image that method, source and customize tell of: while a new one "
        "is boot tested, that is not yet the one in imageID.",
    )
    customize: Annotated[tuple[StepStatus, ...], Field(max_length=64)] | None = Field(
        default=None, description="What came of each step of spec.customize."
    )
    follow: FollowStatus | None = Field(
        default=None, description="What checks for a new version have found; see spec.follow."
    )
    resolved_source: ResolvedSource | None = Field(
        default=None,
        description="What the source meant when it was last looked up, if the spec does not say "
        "itself which bytes they are: for example the image that a name in Glance stands for.",
    )
    upload: UploadStatus | None = Field(
        default=None, description="Where the file goes that is waited for; absent if none is."
    )
    boot_test: BootTestStatus | None = Field(
        default=None, description="The boot test of the image; see spec.bootTest."
    )
    published: PublishedStatus | None = Field(
        default=None, description="Where the image's id is published; see spec.publish."
    )
    copied_metadata: CopiedMetadata | None = Field(
        default=None,
        description="What was copied of the metadata of the source's image, and is kept in Glance "
        "as if the spec had it; see spec.source.glance.copyMetadata.",
    )
    image: ImageStatus | None = Field(default=None, description="The image as Glance has it.")
    lint: Annotated[tuple[LintFinding, ...], Field(max_length=MOST_FINDINGS)] = Field(
        default=(),
        description="What was found in the image, the worst first; see spec.lint. The condition "
        "Linted says whether it was looked into, and how much there is in all.",
    )
    progress: TransferProgress | None = Field(default=None, description="Progress of the transfer.")
    used_by: UsedBy | None = Field(default=None, description="What uses the image.")
    revisions: Annotated[tuple[Revision, ...], Field(max_length=128)] = Field(
        default=(), description="The images made for this object, newest first."
    )
    summary: Summary | None = Field(default=None, description="Human-readable numbers.")
    synced_generation: int | None = Field(
        default=None,
        description="The metadata.generation that the image's metadata was last synced to; any "
        "later difference is drift.",
    )
    conditions: tuple[Condition, ...] = conditions_field(
        "Ready, Verified, Customized, Linted, Uploaded, Synced, PropertiesValid, NameUnique, "
        "Following, UpdateAvailable, Booted, RetentionApplied, ProvenanceComplete, Published, "
        "DeletionBlocked; "
        "Reconciling and Stalled are present only while True."
    )
