"""CloudImage: one image in Glance, with the bytes and the attributes that its spec says."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from cloudimage.api.meta import ApiModel, Condition, ObjectMeta, Timestamp, rules
from cloudimage.api.source import SecretName, Source
from cloudimage.vocabulary import BASE_ATTRIBUTES, ContainerFormat, DiskFormat, Visibility

ImageName = Annotated[str, StringConstraints(min_length=1, max_length=255)]
Tag = Annotated[str, StringConstraints(min_length=1, max_length=255)]
PropertyName = Annotated[str, StringConstraints(min_length=1, max_length=255)]
PropertyValue = Annotated[str, StringConstraints(max_length=4096)]
Hashes = Annotated[dict[str, str], Field(max_length=16)]
"""Hexadecimal hashes by algorithm."""

_RESERVED = ", ".join(f"'{name}'" for name in BASE_ATTRIBUTES)
_LIKE_CONTAINER = (
    "!has(self.diskFormat) || !(self.diskFormat in ['ami', 'aki', 'ari']) || "
    "self.containerFormat == self.diskFormat"
)


class CloudCredentialsRef(ApiModel):
    """Which cloud, and where its credentials are."""

    secret_name: SecretName = Field(
        description="Secret in the same namespace with the key clouds.yaml and, where the cloud's "
        "TLS certificate needs it, the key cacert (PEM)."
    )
    cloud_name: Annotated[str, StringConstraints(min_length=1, max_length=256)] = Field(
        description="The entry of clouds.yaml to use."
    )


class Image(
    ApiModel,
    json_schema_extra=rules(
        (_LIKE_CONTAINER, "Glance wants containerFormat equal to diskFormat for ami, aki and ari")
    ),
):
    """What Glance holds. A field left out is not managed: Glance's value stays as it is."""

    name: ImageName | None = Field(
        default=None, description="Name in Glance; metadata.name when left out."
    )
    disk_format: DiskFormat | None = Field(
        default=None,
        description="Wanted format: the source is converted when it has another one. Left out: "
        "the source's format is kept.",
    )
    compress: bool | None = Field(
        default=None,
        description="Compress the clusters when the source is converted to qcow2. A source that is "
        "qcow2 already is kept byte for byte.",
    )
    max_size: Annotated[str, StringConstraints(max_length=16)] | None = Field(
        default=None,
        pattern=r"^[1-9][0-9]*(Mi|Gi|Ti)$",
        description="Refuse a source with a larger virtual size, for instance 20Gi. The operator "
        "has a limit of its own besides.",
    )
    container_format: ContainerFormat = Field(
        default="bare", description="Glance's container_format."
    )
    visibility: Visibility | None = Field(
        default=None,
        description="Who sees the image. Left out: it is made private and then left as it is. "
        "public needs a right that by default only administrators have.",
    )
    min_disk_gib: int | None = Field(
        default=None,
        alias="minDiskGiB",
        ge=0,
        le=2**31 - 1,
        description="Glance's min_disk: the smallest root disk, in GiB, that can boot it. A source "
        "with a larger virtual size is refused.",
    )
    min_ram_mib: int | None = Field(
        default=None,
        alias="minRamMiB",
        ge=0,
        le=2**31 - 1,
        description="Glance's min_ram: the least memory, in MiB, that can boot it.",
    )
    tags: Annotated[frozenset[Tag], Field(max_length=128)] | None = Field(
        default=None, description="Glance's tags: these and no others."
    )
    protected: bool | None = Field(
        default=None, description="Glance refuses to delete a protected image, and so do we."
    )
    properties: Annotated[dict[PropertyName, PropertyValue], Field(max_length=128)] | None = Field(
        default=None,
        description="Free-form properties such as hw_disk_bus; values are strings, so quote "
        "numbers and booleans.",
        json_schema_extra=rules(
            (
                "self.all(k, !k.startsWith('os_glance') && !k.startsWith('cloudimage_dev_'))",
                "names that start with os_glance are Glance's own, those with cloudimage_dev_ ours",
            ),
            (
                f"self.all(k, !(k in [{_RESERVED}]))",
                "a base attribute of Glance images is not a property: use the field of its own",
            ),
        ),
    )


class Import(ApiModel):
    """How the bytes go into Glance."""

    method: Literal["Auto", "Upload", "GlanceDirect", "WebDownload"] = Field(
        default="Auto",
        description="Upload: through the operator. GlanceDirect: staged, and converted by Glance "
        "itself where its import plugin is on. WebDownload: Glance fetches by itself, where what "
        "the spec says can be verified afterwards. Auto: the cheapest of them that keeps every "
        "promise of the spec; status.method says which and why. A change counts for the next "
        "transfer: the bytes that are there would be the same.",
    )
    stores: (
        Annotated[
            frozenset[Annotated[str, StringConstraints(min_length=1, max_length=255)]],
            Field(min_length=1, max_length=16),
        ]
        | None
    ) = Field(
        default=None,
        description="Glance stores that are to hold the image; Glance's default when left out. A "
        "change makes a new image, with an id of its own, while the old one serves.",
    )


class DeletionPolicy(StrEnum):
    """What becomes of the Glance image when its CloudImage is deleted."""

    DELETE = "Delete"
    ORPHAN = "Orphan"


class CloudImageSpec(ApiModel):
    """What the user wants."""

    cloud_credentials_ref: CloudCredentialsRef = Field(
        description="Which cloud, and where its credentials are."
    )
    source: Source = Field(description="Where the bytes come from: exactly one member.")
    image: Image = Image()
    import_: Import | None = Field(
        default=None,
        alias="import",
        description="How the bytes go into Glance; Auto when left out.",
    )
    deletion_policy: DeletionPolicy = Field(
        default=DeletionPolicy.DELETE,
        description="Delete: the Glance image goes with this object, once nothing uses it. "
        "Orphan: it stays, without our marks.",
    )


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
    sample: tuple[ServerReference, ...] = Field(
        default=(), max_length=5, description="A few of them."
    )
    scope: Literal["AllProjects", "OwnProject", "NoCompute"] = Field(
        description="How far the credentials can see: the servers of all projects, only those of "
        "their own, or a cloud without a compute service."
    )


class Summary(ApiModel):
    """Numbers as people read them, for the columns of kubectl get."""

    progress: str | None = Field(default=None, description='For instance "63%".')
    size: str | None = Field(default=None, description='For instance "2.0Gi".')


class CloudImageStatus(ApiModel):
    """What the operator saw and did."""

    observed_generation: int | None = Field(
        default=None, description="The metadata.generation this status was computed from."
    )
    image_id: str | None = Field(
        default=None, alias="imageID", description="The Glance image: the one to boot servers from."
    )
    digest: str | None = Field(
        default=None,
        description="Digest of all that the bytes depend on: source, conversion and stores. "
        "Written before a transfer starts.",
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
    summary: Summary | None = Field(default=None, description="Numbers as people read them.")
    last_sync_time: Timestamp | None = Field(
        default=None, description="When Glance was last compared with the spec."
    )
    conditions: tuple[Condition, ...] = Field(
        default=(),
        max_length=16,
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["type"],
        },
        description="Ready, Verified, Uploaded, Synced, DeletionBlocked; Reconciling and Stalled "
        "only while they are True.",
    )


class CloudImage(ApiModel):
    """One image in Glance: where its bytes come from, and every attribute it has."""

    metadata: ObjectMeta
    spec: CloudImageSpec = Field(description="What the user wants.")
    status: CloudImageStatus = Field(
        default=CloudImageStatus(), description="What the operator saw and did."
    )
