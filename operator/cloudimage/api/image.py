"""spec.image: the attributes of an image in Glance."""

from typing import Annotated, Final

from pydantic import Field, StringConstraints

from cloudimage import templates
from cloudimage.api import admission
from cloudimage.api.meta import ApiModel, Like, SecretName, rules
from cloudimage.vocabulary.image import BASE_ATTRIBUTES, ContainerFormat, DiskFormat, Visibility

ImageName = Annotated[str, StringConstraints(min_length=1, max_length=255)]
Tag = Annotated[str, StringConstraints(min_length=1, max_length=255)]
PropertyName = Annotated[str, StringConstraints(min_length=1, max_length=255)]
PropertyValue = Annotated[str, StringConstraints(max_length=4096)]

VARIABLES: Final = ("version", "built", "source.checksum")
"""What templates in the name, in properties and in tags may use."""

_TEMPLATE = Like(
    templates.pattern(VARIABLES),
    "may use only the variables $(version), $(built) and $(source.checksum); $$(...) stands for "
    "$(...) itself",
)
_SIZE = Like("[1-9][0-9]*(Mi|Gi|Ti)", "must be a whole number with Mi, Gi or Ti, for example 20Gi")

_RESERVED = ", ".join(f"'{name}'" for name in BASE_ATTRIBUTES)
# What a reference sets must not be set a second time.
_EITHER_REF = "!has(self.{ref}) || !has(self.properties) || !('{name}' in self.properties)"
_LIKE_CONTAINER = (
    "!has(self.diskFormat) || self.containerFormat == self.diskFormat || "
    "!(self.diskFormat in ['ami', 'aki', 'ari'] || self.containerFormat in ['ami', 'aki', 'ari'])"
)


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

    name: Annotated[ImageName, _TEMPLATE] | None = Field(
        default=None,
        description="The image's name in Glance. Defaults to metadata.name. As in properties and "
        "tags, $(version), $(built) and $(source.checksum) stand for the version of the source, "
        "the day of its build (YYYY-MM-DD) and the checksum of its file (algorithm:value).",
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
    tags: Annotated[frozenset[Annotated[Tag, _TEMPLATE]], Field(max_length=128)] | None = Field(
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
    properties: (
        Annotated[dict[PropertyName, Annotated[PropertyValue, _TEMPLATE]], Field(max_length=120)]
        | None
    ) = Field(
        default=None,
        description="Free-form properties such as hw_disk_bus; values are strings, so quote "
        "numbers and booleans. Glance by default takes 128 of an image; the operator needs up to "
        "8 of them for its marks and references. Values are templates, as the name is.",
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
