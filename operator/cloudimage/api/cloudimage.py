"""CloudImage: one image in Glance, with the bytes and the attributes that its spec says."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from cloudimage.api import admission
from cloudimage.api.meta import ApiModel, Condition, ObjectMeta, Timestamp, rules
from cloudimage.api.source import SecretName, Source
from cloudimage.vocabulary import BASE_ATTRIBUTES, ContainerFormat, DiskFormat, Visibility

ImageName = Annotated[str, StringConstraints(min_length=1, max_length=255)]
Tag = Annotated[str, StringConstraints(min_length=1, max_length=255)]
PropertyName = Annotated[str, StringConstraints(min_length=1, max_length=255)]
PropertyValue = Annotated[str, StringConstraints(max_length=4096)]
_UUID = r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"
Hashes = Annotated[dict[str, str], Field(max_length=16)]
"""Hexadecimal hashes by algorithm."""

_RESERVED = ", ".join(f"'{name}'" for name in BASE_ATTRIBUTES)
# What a reference sets must not be set a second time.
_EITHER_REF = "!has(self.{ref}) || !has(self.properties) || !('{name}' in self.properties)"
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


class ImageReference(ApiModel):
    """Another CloudImage of the same namespace."""

    name: SecretName = Field(description="Its metadata.name.")


class Image(
    ApiModel,
    json_schema_extra=rules(
        (_LIKE_CONTAINER, "Glance wants containerFormat equal to diskFormat for ami, aki and ari"),
        (
            _EITHER_REF.format(ref="kernelRef", name="kernel_id"),
            "kernelRef sets the property kernel_id: give one of them",
        ),
        (
            _EITHER_REF.format(ref="ramdiskRef", name="ramdisk_id"),
            "ramdiskRef sets the property ramdisk_id: give one of them",
        ),
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
    hidden: bool = Field(
        default=False,
        description="Glance's os_hidden: lists leave the image out, and it can be used by its id.",
    )
    owner: Annotated[str, StringConstraints(min_length=1, max_length=255)] | None = Field(
        default=None,
        description="Id of the project that owns the image. Left out: it is made in the "
        "credentials' own and then left as it is. Another needs a right that by default only "
        "administrators have. Name a project that is trusted: whose image it is may change all of "
        "it but the bytes.",
    )
    kernel_ref: ImageReference | None = Field(
        default=None,
        description="CloudImage with the kernel (aki): its image's id becomes the property "
        "kernel_id.",
    )
    ramdisk_ref: ImageReference | None = Field(
        default=None,
        description="CloudImage with the ramdisk (ari): its image's id becomes the property "
        "ramdisk_id.",
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
            *admission.PROPERTY_RULES,
        ),
    )


GlanceImageId = Annotated[str, StringConstraints(pattern=_UUID, max_length=36)]


class ImageFilter(
    ApiModel,
    json_schema_extra=rules(
        (
            "has(self.name) || has(self.visibility) || has(self.owner) || has(self.tags)",
            "give at least one of name, visibility, owner and tags",
        )
    ),
):
    """What the one image that is meant looks like: all that is given must fit."""

    name: ImageName | None = Field(default=None, description="Its name in Glance.")
    visibility: Visibility | None = Field(default=None, description="Its visibility.")
    owner: Annotated[str, StringConstraints(min_length=1, max_length=255)] | None = Field(
        default=None, description="Id of the project that owns it."
    )
    tags: Annotated[frozenset[Tag], Field(min_length=1, max_length=128)] | None = Field(
        default=None, description="Tags that it has, beside others perhaps."
    )


class Adopt(ApiModel):
    """An image that is in Glance already, and is from now on managed here."""

    id: GlanceImageId = Field(description="The image's id in Glance.")


class Import(
    ApiModel,
    json_schema_extra=rules(
        ("!(has(self.id) && has(self.filter))", "give either the id or a filter")
    ),
):
    """How the bytes go into Glance; or, with managementPolicy Unmanaged, which image is meant."""

    id: GlanceImageId | None = Field(
        default=None, description="With managementPolicy Unmanaged: the id of the image."
    )
    filter: ImageFilter | None = Field(
        default=None,
        description="With managementPolicy Unmanaged: what the image looks like. Exactly one must "
        "fit. Hidden images are left out, and so are community images of others unless visibility "
        "community or their owner is given.",
    )

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


class ManagementPolicy(StrEnum):
    """Whether the image is ours to make and change."""

    MANAGED = "Managed"
    UNMANAGED = "Unmanaged"


class PropertyPolicy(StrEnum):
    """What becomes of properties that the spec does not name."""

    MERGE = "Merge"
    PURGE = "Purge"


class DriftPolicy(StrEnum):
    """What to do about metadata that somebody changed in Glance."""

    CORRECT = "Correct"
    REPORT = "Report"


class DeletionPolicy(StrEnum):
    """What becomes of the Glance image when its CloudImage is deleted."""

    DELETE = "Delete"
    ORPHAN = "Orphan"


# "import" is a reserved word of CEL; Kubernetes escapes it like this.
_NAMES_ONE = "has(self.__import__) && (has(self.__import__.id) || has(self.__import__.filter))"
_SPEC_RULES = (
    (
        "self.managementPolicy == oldSelf.managementPolicy",
        "managementPolicy cannot be changed; deletionPolicy Orphan lets go of an image",
    ),
    (
        "self.managementPolicy != 'Managed' || has(self.source) || has(self.adopt)",
        "say where the image comes from: source, or adopt for one that is in Glance already",
    ),
    (
        f"self.managementPolicy != 'Managed' || !({_NAMES_ONE})",
        "import.id and import.filter are for managementPolicy Unmanaged; adopt takes one over",
    ),
    (
        f"self.managementPolicy != 'Unmanaged' || ({_NAMES_ONE})",
        "an Unmanaged image is named by import.id or import.filter",
    ),
    (
        "self.managementPolicy != 'Unmanaged' || (!has(self.source) && !has(self.adopt))",
        "an Unmanaged image has neither source nor adopt",
    ),
)


class CloudImageSpec(ApiModel, json_schema_extra=rules(*_SPEC_RULES)):
    """What the user wants."""

    management_policy: ManagementPolicy = Field(
        default=ManagementPolicy.MANAGED,
        description="Managed: the image is made and kept as the spec says. Unmanaged: the image "
        "that import names is observed: status is filled, nothing is changed, never deleted.",
    )

    cloud_credentials_ref: CloudCredentialsRef = Field(
        description="Which cloud, and where its credentials are."
    )
    source: Source | None = Field(
        default=None, description="Where the bytes come from: exactly one member."
    )
    adopt: Adopt | None = Field(
        default=None,
        description="Take over an image of the credentials' project that is in Glance already; "
        "its metadata, also its name, becomes what spec.image says. With a source its bytes are "
        "taken for those of the source: a later change of the source makes a new image, and this "
        "field counts no more. Without one there is nothing to make it from if it is lost.",
    )
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
    property_policy: PropertyPolicy = Field(
        default=PropertyPolicy.MERGE,
        description="Merge: a property taken out of the spec is removed from Glance if it was set "
        "from here, and others are left alone. Purge: whatever the spec does not name is removed, "
        "but for properties of Glance's own.",
    )
    drift_policy: DriftPolicy = Field(
        default=DriftPolicy.CORRECT,
        description="What to do about metadata that somebody changed in Glance. Correct: it is put "
        "back. Report: Synced becomes False and says what differs.",
    )
    revision_history_limit: int = Field(
        default=1,
        ge=0,
        le=100,
        description="How many images of earlier specs are kept, hidden, once no server uses them. "
        "To return to one of them takes no transfer.",
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
    revisions: Annotated[tuple[Revision, ...], Field(max_length=128)] = Field(
        default=(), description="The images made for this object, the newest first."
    )
    last_handled_retry: Annotated[str, StringConstraints(max_length=253)] | None = Field(
        default=None,
        description="Value of the annotation cloudimage.dev/retry that was acted on last.",
    )
    credentials_secret: SecretName | None = Field(
        default=None,
        description="The Secret that the finalizer cloudimage.dev/credentials holds for this "
        "object: without it the image could not be deleted.",
    )
    cloud_unreachable_since: Timestamp | None = Field(
        default=None, description="Since when the cloud has not answered; absent while it does."
    )
    summary: Summary | None = Field(default=None, description="Numbers as people read them.")
    synced_generation: int | None = Field(
        default=None,
        description="The metadata.generation that the image's metadata was last brought in line "
        "with: what differs later was changed in Glance.",
    )
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
        description="Ready, Verified, Uploaded, Synced, PropertiesValid, DeletionBlocked; "
        "Reconciling and Stalled only while they are True.",
    )


class CloudImage(ApiModel):
    """One image in Glance: where its bytes come from, and every attribute it has."""

    metadata: ObjectMeta
    spec: CloudImageSpec = Field(description="What the user wants.")
    status: CloudImageStatus = Field(
        default=CloudImageStatus(), description="What the operator saw and did."
    )
