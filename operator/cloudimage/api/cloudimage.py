"""CloudImage: one image in Glance, with the bytes and attributes that its spec gives."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from cloudimage.api.boot_test import BootTest
from cloudimage.api.customize import CUSTOMIZE_RULES, Customize
from cloudimage.api.follow import Follow
from cloudimage.api.image import Image
from cloudimage.api.meta import ApiModel, Resource, rules
from cloudimage.api.publish import Publish
from cloudimage.api.references import CloudCredentialsRef, GlanceImageId, ImageFilter
from cloudimage.api.retention import Retention
from cloudimage.api.source import Source
from cloudimage.api.status import CloudImageStatus
from cloudimage.vocabulary.image import PACKAGES

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


class UsageCheck(StrEnum):
    """Whether an image is deleted where nobody can say which servers use it."""

    REQUIRED = "Required"
    IF_PERMITTED = "IfPermitted"


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
_TIMED_OR_NOT = (
    "!has(self.follow) || !has(self.source) || "
    "!(has(self.source.server) || has(self.source.volume)) || "
    "(self.follow.policy == 'Apply' && !has(self.follow.minimumAge))"
)
_TIMED = (
    "a snapshot of a server or a volume is taken when it is due: follow takes no policy Report and "
    "no minimumAge with these"
)
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
    ("!has(self.follow) || has(self.source)", "follow needs a source"),
    (_TIMED_OR_NOT, _TIMED),
    (
        # 1 is its default, which is in every object.
        "!has(self.retention) || self.revisionHistoryLimit == 1",
        "give either revisionHistoryLimit or retention, whose keep says how many are kept",
    ),
    (
        "!has(self.retention) || self.managementPolicy == 'Managed'",
        "retention needs managementPolicy Managed: other images are only observed",
    ),
    (
        "!has(self.publish) || self.managementPolicy == 'Managed'",
        "publish needs managementPolicy Managed: other images are only observed",
    ),
    (
        "!has(self.bootTest) || self.managementPolicy == 'Managed'",
        "bootTest needs managementPolicy Managed: other images are only observed",
    ),
    (
        "!has(self.provenance) || self.managementPolicy == 'Managed'",
        "provenance needs managementPolicy Managed: other images are only observed",
    ),
    *CUSTOMIZE_RULES,
    (
        "!has(self.lint) || self.managementPolicy == 'Managed'",
        "lint needs managementPolicy Managed: other images are only observed",
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
    follow: Follow | None = Field(
        default=None,
        description="Keep up with the source: ask it for a new version now and then. If omitted, "
        "the image stays what it was made from; but a name or filter of a glance source is looked "
        "up all the same.",
    )
    adopt: Adopt | None = Field(
        default=None,
        description="Adopt an image of the credentials' project that is already in Glance; its "
        "metadata, including its name, is set to spec.image. If a source is given, the image's "
        "bytes are assumed to be the source's, with follow those of its newest version: a later "
        "change of the source makes a new image, "
        "and this field no longer has any effect. Without a source, a lost image cannot be made "
        "again.",
    )
    image: Image = Image()
    customize: Customize | None = Field(
        default=None,
        description="What is done to the image after it was verified and before it is uploaded, "
        "by libguestfs. A change makes a new image.",
    )
    provenance: Literal["SCS"] | None = Field(
        default=None,
        description="SCS: also set the properties by which the standards SCS-0102 and SCS-0104 of "
        "Sovereign Cloud Stack have an image say where it comes from and how long it lasts, as "
        "far as they are known; what spec.image.properties has wins. The condition "
        "ProvenanceComplete names what is missing.",
    )
    boot_test: BootTest | None = Field(
        default=None,
        description="Boot a server from each new image, and use the image only if it shows what is "
        "expected. See docs/boot-test.md.",
    )
    lint: Literal["Warn", "Enforce", "Skip"] | None = Field(
        default=None,
        description="Look into the image for what does not belong in a cloud: passwords, keys, a "
        "machine id, logs, or no cloud-init. Warn: findings are in status.lint, the condition "
        "Linted and an Event. Enforce: with findings the image is refused, before anything is in "
        "Glance. Both have the bytes go through the scratch. Skip: it is not looked into. If "
        "omitted: as Warn, but only where the bytes are in the scratch anyway. A change takes "
        "effect at the next transfer, since it would not change the bytes.",
    )
    publish: Publish | None = Field(
        default=None, description="Where consumers read which image is the current one."
    )
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
    usage_check: UsageCheck = Field(
        default=UsageCheck.REQUIRED,
        description="Required: the image is deleted only after the compute service was asked which "
        "servers use it. IfPermitted: if that refuses these credentials, such as an application "
        "credential with access rules for the image service alone, the image is deleted all the "
        "same; servers that use it can then no longer be rebuilt, resized or evacuated.",
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
        "Returning to one of them needs no transfer. With retention, leave it out.",
    )
    retention: Retention | None = Field(
        default=None,
        description="How previous images age: renamed, hidden, deprecated, and at last deleted. If "
        "omitted, revisionHistoryLimit alone says which of them are kept.",
    )


class CloudImage(Resource):
    """An image in Glance: where its bytes come from, and all its attributes."""

    spec: CloudImageSpec = Field(description="The desired state.")
    status: CloudImageStatus = Field(default=CloudImageStatus(), description="The observed state.")
