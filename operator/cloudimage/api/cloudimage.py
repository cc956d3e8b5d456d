"""CloudImage: one image in Glance, with the bytes and attributes that its spec gives."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from cloudimage.api import admission
from cloudimage.api.meta import ApiModel, Like, Resource, SecretName, rules
from cloudimage.api.references import (
    CloudCredentialsRef,
    GlanceImageId,
    ImageFilter,
    ImageName,
    Tag,
)
from cloudimage.api.source import Source
from cloudimage.api.status import CloudImageStatus
from cloudimage.vocabulary.image import (
    BASE_ATTRIBUTES,
    PACKAGES,
    ContainerFormat,
    DiskFormat,
    Visibility,
)

PropertyName = Annotated[str, StringConstraints(min_length=1, max_length=255)]
PropertyValue = Annotated[str, StringConstraints(max_length=4096)]
_SIZE = Like("[1-9][0-9]*(Mi|Gi|Ti)", "must be a whole number with Mi, Gi or Ti, for example 20Gi")

_RESERVED = ", ".join(f"'{name}'" for name in BASE_ATTRIBUTES)
# What a reference sets must not be set a second time.
_EITHER_REF = "!has(self.{ref}) || !has(self.properties) || !('{name}' in self.properties)"
_LIKE_CONTAINER = (
    "!has(self.diskFormat) || self.containerFormat == self.diskFormat || "
    "!(self.diskFormat in ['ami', 'aki', 'ari'] || self.containerFormat in ['ami', 'aki', 'ari'])"
)
_LIKE_SOURCE = (
    "!has(self.source) || !has(self.source.http) || !has(self.source.http.format) || "
    "!(self.source.http.format in ['ami', 'aki', 'ari']) || "
    "self.image.containerFormat == self.source.http.format"
)
_NO_PACKAGE = (
    "an image made from a source is a plain disk and nothing around it: containerFormat cannot be "
    "compressed, docker or ova; use bare"
)
_PACKAGES = ", ".join(f"'{name}'" for name in sorted(PACKAGES))


class ImageReference(ApiModel):
    """Another CloudImage of the same namespace."""

    name: SecretName = Field(description="Its metadata.name.")


class Image(
    ApiModel,
    json_schema_extra=rules(
        (
            _LIKE_CONTAINER,
            "for ami, aki and ari, Glance requires containerFormat to equal diskFormat",
        ),
        (
            _EITHER_REF.format(ref="kernelRef", name="kernel_id"),
            "kernelRef sets the property kernel_id: give only one of them",
        ),
        (
            _EITHER_REF.format(ref="ramdiskRef", name="ramdisk_id"),
            "ramdiskRef sets the property ramdisk_id: give only one of them",
        ),
    ),
):
    """The image's attributes in Glance. Omitted fields are not managed: they stay as they are."""

    name: ImageName | None = Field(
        default=None, description="The image's name in Glance. Defaults to metadata.name."
    )
    disk_format: DiskFormat | None = Field(
        default=None,
        description="Disk format of the image; a source in another format is converted. Defaults "
        "to the source's format.",
    )
    compress: bool | None = Field(
        default=None,
        description="Compress clusters when converting to qcow2. A source that is already qcow2 "
        "is kept byte for byte.",
    )
    max_size: Annotated[str, StringConstraints(max_length=16), _SIZE] | None = Field(
        default=None,
        description="Refuse a source with a larger virtual size, for example 20Gi. The operator "
        "also has its own limit.",
    )
    container_format: ContainerFormat = Field(
        default="bare",
        description="Glance's container_format. For ami, aki and ari it equals diskFormat. "
        "compressed, docker and ova are for adopted images only: what is made from a source is a "
        "plain disk.",
    )
    visibility: Visibility | None = Field(
        default=None,
        description="Who can see the image. If omitted, it is created private, becomes shared "
        "when an ImageShare needs it, and is otherwise left unchanged. public needs a right that "
        "by default only administrators have.",
    )
    min_disk_gib: int | None = Field(
        default=None,
        alias="minDiskGiB",
        ge=0,
        le=2**31 - 1,
        description="Glance's min_disk: the smallest root disk, in GiB, that can boot the image. "
        "A source with a larger virtual size is refused.",
    )
    min_ram_mib: int | None = Field(
        default=None,
        alias="minRamMiB",
        ge=0,
        le=2**31 - 1,
        description="Glance's min_ram: the least memory, in MiB, needed to boot the image.",
    )
    tags: Annotated[frozenset[Tag], Field(max_length=128)] | None = Field(
        default=None,
        description="The image's tags in Glance: exactly these; any other tag is removed.",
    )
    protected: bool | None = Field(
        default=None,
        description="Protects the image from deletion: neither Glance nor the "
        "operator deletes a protected image.",
    )
    hidden: bool = Field(
        default=False,
        description="Glance's os_hidden: hides the image from lists; it can still be used by its "
        "id.",
    )
    owner: Annotated[str, StringConstraints(min_length=1, max_length=255)] | None = Field(
        default=None,
        description="Id of the project that owns the image. If omitted, the image is created in "
        "the credentials' project and its owner is then left unchanged. Another project needs a "
        "right that by default only administrators have. Name only a project you trust: the owner "
        "can change everything about an image except its bytes.",
    )
    kernel_ref: ImageReference | None = Field(
        default=None,
        description="CloudImage of the kernel (aki); its image's id becomes the property "
        "kernel_id.",
    )
    ramdisk_ref: ImageReference | None = Field(
        default=None,
        description="CloudImage of the ramdisk (ari); its image's id becomes the property "
        "ramdisk_id.",
    )
    properties: Annotated[dict[PropertyName, PropertyValue], Field(max_length=120)] | None = Field(
        default=None,
        description="Free-form properties such as hw_disk_bus; values are strings, so quote "
        "numbers and booleans. Glance by default takes 128 of an image; the operator needs up to "
        "8 of them for its marks and references.",
        json_schema_extra=rules(
            (
                "self.all(k, !k.startsWith('os_glance') && !k.startsWith('cloudimage_dev_'))",
                "names that start with os_glance or cloudimage_dev_ are reserved",
                admission.named(
                    "self",
                    "k.startsWith('os_glance') || k.startsWith('cloudimage_dev_')",
                    "reserved, as all names that start with os_glance or cloudimage_dev_",
                ),
            ),
            (
                f"self.all(k, !(k in [{_RESERVED}]))",
                "a base attribute of Glance images is not a property: use its own field",
                admission.named(
                    f"[{_RESERVED}]",
                    "k in self",
                    "no property but a base attribute of Glance images: use its own field",
                ),
            ),
            *admission.PROPERTY_RULES,
        ),
    )


class Adopt(ApiModel):
    """An image that is already in Glance, to be managed by this object from now on."""

    id: GlanceImageId = Field(description="The image's id in Glance.")


class Import(
    ApiModel,
    json_schema_extra=rules(
        ("!(has(self.id) && has(self.filter))", "give either the id or a filter")
    ),
):
    """How the bytes get into Glance; or, if Unmanaged, which image to observe."""

    id: GlanceImageId | None = Field(
        default=None, description="For managementPolicy Unmanaged: the id of the image."
    )
    filter: ImageFilter | None = Field(
        default=None,
        description="For managementPolicy Unmanaged: selects the image. Exactly one must match. "
        "Hidden images are ignored, as are other projects' community images unless visibility "
        "community or their owner is given.",
    )

    method: Literal["Auto", "Upload", "GlanceDirect", "WebDownload"] = Field(
        default="Auto",
        description="Upload: through the operator. GlanceDirect: staged, and converted by Glance "
        "if its import plugin is enabled. WebDownload: Glance fetches the file itself; only if "
        "the result can be verified against the spec. Auto: the cheapest method that satisfies "
        "the whole spec; status.method and status.methodReason show which and why. A change takes "
        "effect at the next transfer, since it would not change the bytes.",
    )
    stores: (
        Annotated[
            frozenset[Annotated[str, StringConstraints(min_length=1, max_length=255)]],
            Field(min_length=1, max_length=16),
        ]
        | None
    ) = Field(
        default=None,
        description="Glance stores to keep the image in. Defaults to Glance's default store. A "
        "change makes a new image with a new id; the old one stays in use meanwhile.",
    )


class ShareableFrom(ApiModel):
    """Which namespaces may share the image with an ImageShare; this namespace always may."""

    namespaces: Annotated[
        frozenset[Annotated[str, StringConstraints(min_length=1, max_length=63)]],
        Field(max_length=256),
    ] = Field(
        default=frozenset(),
        description="Other namespaces whose ImageShares may name this CloudImage. They then "
        "decide which projects get the image, using this CloudImage's credentials.",
    )


class ManagementPolicy(StrEnum):
    """Whether the operator makes and changes the image, or only observes it."""

    MANAGED = "Managed"
    UNMANAGED = "Unmanaged"


class PropertyPolicy(StrEnum):
    """What happens to properties that the spec does not name."""

    MERGE = "Merge"
    PURGE = "Purge"


class DriftPolicy(StrEnum):
    """What to do about drift: metadata changed in Glance."""

    CORRECT = "Correct"
    REPORT = "Report"


class SourceChangePolicy(StrEnum):
    """What happens when a lost image is made again and its source has other bytes by then."""

    REFUSE = "Refuse"
    ACCEPT = "Accept"


class DeletionPolicy(StrEnum):
    """What happens to an object's resources in the cloud when the object is deleted."""

    DELETE = "Delete"
    ORPHAN = "Orphan"


# "import" is a reserved word of CEL; Kubernetes escapes it like this.
_NAMES_ONE = "has(self.__import__) && (has(self.__import__.id) || has(self.__import__.filter))"
_SPEC_RULES = (
    (
        "self.managementPolicy == oldSelf.managementPolicy",
        "managementPolicy cannot be changed; deletionPolicy Orphan stops managing an image",
    ),
    (
        "self.managementPolicy != 'Managed' || has(self.source) || has(self.adopt)",
        "set source, or adopt for an image that is already in Glance",
    ),
    (
        f"self.managementPolicy != 'Managed' || !({_NAMES_ONE})",
        "import.id and import.filter need managementPolicy Unmanaged; adopt takes an image over",
    ),
    (
        f"self.managementPolicy != 'Unmanaged' || ({_NAMES_ONE})",
        "an Unmanaged image needs import.id or import.filter",
    ),
    (
        "self.managementPolicy != 'Unmanaged' || (!has(self.source) && !has(self.adopt))",
        "an Unmanaged image can have neither source nor adopt",
    ),
    (
        _LIKE_SOURCE,
        "for a source in the format ami, aki or ari, Glance requires containerFormat to equal it",
    ),
    (
        f"!has(self.source) || !(self.image.containerFormat in [{_PACKAGES}])",
        _NO_PACKAGE,
    ),
)


class CloudImageSpec(ApiModel, json_schema_extra=rules(*_SPEC_RULES)):
    """The desired state."""

    management_policy: ManagementPolicy = Field(
        default=ManagementPolicy.MANAGED,
        description="Managed: the operator makes the image and keeps it in line with the spec. "
        "Unmanaged: the operator only observes the image that import names, and reports it in "
        "status; it never changes or deletes it.",
    )

    cloud_credentials_ref: CloudCredentialsRef = Field(
        description="The cloud to use, and where its credentials are."
    )
    source: Source | None = Field(
        default=None, description="Where the bytes come from: exactly one member."
    )
    adopt: Adopt | None = Field(
        default=None,
        description="Adopt an image of the credentials' project that is already in Glance; its "
        "metadata, including its name, is set to spec.image. If a source is given, the image's "
        "bytes are assumed to be the source's: a later change of the source makes a new image, "
        "and this field no longer has any effect. Without a source, a lost image cannot be made "
        "again.",
    )
    image: Image = Image()
    import_: Import | None = Field(
        default=None,
        alias="import",
        description="How the bytes get into Glance. Defaults to Auto.",
    )
    deletion_policy: DeletionPolicy = Field(
        default=DeletionPolicy.DELETE,
        description="Delete: the Glance image is deleted with this object, once nothing uses it. "
        "Orphan: the image stays, without its ownership marks.",
    )
    property_policy: PropertyPolicy = Field(
        default=PropertyPolicy.MERGE,
        description="Merge: a property removed from the spec is removed from Glance if this "
        "object set it; other properties are left alone. Purge: every property that the spec does "
        "not name is removed, except Glance's own.",
    )
    drift_policy: DriftPolicy = Field(
        default=DriftPolicy.CORRECT,
        description="What to do about drift: metadata changed in Glance. Correct: restore it. "
        "Report: only set Synced to False, with what differs.",
    )
    source_change_policy: SourceChangePolicy = Field(
        default=SourceChangePolicy.REFUSE,
        description="What to do if the image is deleted in Glance and its source is no longer the "
        "file it was made from, for example behind a URL with latest in it. Refuse: make nothing, "
        "and say so. Accept: make the image from the present file, and say so in an Event. In a "
        "new object, or in another cluster, only a checksum in the source pins the bytes.",
    )
    shareable_from: ShareableFrom = Field(
        default=ShareableFrom(),
        description="Which other namespaces' ImageShares may share the image.",
    )
    revision_history_limit: int = Field(
        default=1,
        ge=0,
        le=100,
        description="How many previous images to keep, hidden, once no server uses them. "
        "Returning to one of them needs no transfer.",
    )


class CloudImage(Resource):
    """An image in Glance: where its bytes come from, and all its attributes."""

    spec: CloudImageSpec = Field(description="The desired state.")
    status: CloudImageStatus = Field(default=CloudImageStatus(), description="The observed state.")
