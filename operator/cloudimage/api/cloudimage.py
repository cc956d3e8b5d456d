"""CloudImage: one image in Glance, with the bytes and the attributes that its spec says."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from cloudimage.api import admission
from cloudimage.api.meta import ApiModel, Resource, SecretName, rules
from cloudimage.api.source import Source
from cloudimage.api.status import CloudImageStatus
from cloudimage.vocabulary.image import BASE_ATTRIBUTES, ContainerFormat, DiskFormat, Visibility

ImageName = Annotated[str, StringConstraints(min_length=1, max_length=255)]
Tag = Annotated[str, StringConstraints(min_length=1, max_length=255)]
PropertyName = Annotated[str, StringConstraints(min_length=1, max_length=255)]
PropertyValue = Annotated[str, StringConstraints(max_length=4096)]
_UUID = r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"

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
        description="Who sees the image. Left out: it is made private, shared where an "
        "ImageShare asks for it, and otherwise left as it is. public needs a right that by default "
        "only administrators have.",
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


class ShareableFrom(ApiModel):
    """Who may share the image by an ImageShare; this namespace always may."""

    namespaces: Annotated[
        frozenset[Annotated[str, StringConstraints(min_length=1, max_length=63)]],
        Field(max_length=256),
    ] = Field(
        default=frozenset(),
        description="Other namespaces whose ImageShares may name this CloudImage: they decide then "
        "which projects get the image, with the credentials of this one.",
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
    """What becomes of what an object made in the cloud when the object is deleted."""

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
    shareable_from: ShareableFrom = Field(
        default=ShareableFrom(),
        description="Whose ImageShares may share the image, besides this namespace's.",
    )
    revision_history_limit: int = Field(
        default=1,
        ge=0,
        le=100,
        description="How many images of earlier specs are kept, hidden, once no server uses them. "
        "To return to one of them takes no transfer.",
    )


class CloudImage(Resource):
    """One image in Glance: where its bytes come from, and every attribute it has."""

    spec: CloudImageSpec = Field(description="What the user wants.")
    status: CloudImageStatus = Field(
        default=CloudImageStatus(), description="What the operator saw and did."
    )
