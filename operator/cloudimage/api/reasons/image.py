"""Reasons of conditions: the image in Glance, its metadata, its revisions and its deletion."""

from enum import StrEnum


class ImageReason(StrEnum):
    """How the image in Glance stands, and its objects beside it."""

    AVAILABLE = "Available"
    """The image is active and matches the spec."""
    REPLACEMENT_PENDING = "ReplacementPending"
    """The previous image stays in use until the new one is ready."""
    DEACTIVATED = "Deactivated"
    """An administrator deactivated the image in Glance; the operator does not reactivate it."""
    PROGRESSING = "Progressing"
    """The operator is working on it; see status.progress."""
    AWAITING_UPLOAD = "AwaitingUpload"
    """The operator waits for the file of spec.source.upload; the message has the command by which
    somebody who has it uploads it. It is found within a minute."""
    PENDING = "Pending"
    """Not started, or not yet known."""
    DELETING = "Deleting"
    """The object is being deleted."""
    CHECKSUM_MATCHED = "ChecksumMatched"
    """The source file matches the checksum in the spec."""
    SOURCE_CHANGED = "SourceChanged"
    """The image was deleted in Glance, and the source is no longer the file that it was made from;
    the message has both checksums. With spec.sourceChangePolicy Refuse nothing is uploaded: set it
    to Accept, or change the checksum or the URL in spec.source. Retried with growing pauses. With
    Accept it is an Event: the image was made again from the present file."""
    NO_CHECKSUM = "NoChecksum"
    """The spec has no checksum, so only the upload to Glance was verified, not the source."""
    HASH_MATCHED = "HashMatched"
    """Glance's hash of the stored bytes equals the one computed while sending them."""
    IN_SYNC = "InSync"
    """Nothing differs."""
    DRIFTED = "Drifted"
    """The image was changed in Glance, and spec.driftPolicy is Report. The message names the
    fields."""
    DRIFT_CORRECTED = "DriftCorrected"
    """Event: the image was changed in Glance, and the operator restored it."""
    IMAGE_DELETED = "ImageDeleted"
    """The image was deleted in Glance. It is made again if the spec has a source."""
    PROPERTIES_KNOWN = "PropertiesKnown"
    """Every property that OpenStack documents has a valid value."""
    INVALID_PROPERTIES = "InvalidProperties"
    """A property has a value that cannot work, or a name that looks misspelt; the message says what
    is valid."""
    UNIQUE = "Unique"
    """No other image has that name, or the image is hidden and cannot be found by its name."""
    NAME_NOT_UNIQUE = "NameNotUnique"
    """Other images have the same name in Glance, so that a client that looks for it finds several;
    the message has their ids. Another CloudImage may have made one of them. Change
    spec.image.name, or rename or hide the others."""
    TEMPLATE_NOT_FILLED = "TemplateNotFilled"
    """A variable in spec.image.name, properties or tags is not known of this image, for example
    $(built) of a source that has neither a day in its version nor a Last-Modified; the message has
    the fields. Give a text without variables there, or a source that has them."""
    PROVENANCE_TOLD = "ProvenanceTold"
    """The image has what the standard demands."""
    PROVENANCE_INCOMPLETE = "ProvenanceIncomplete"
    """The standard demands properties that the operator cannot know, or that are given in another
    form; the message names them. Set them in spec.image."""
    CONFIG_MAP_WRITTEN = "ConfigMapWritten"
    """The ConfigMap was written."""
    CONFIG_MAP_CONFLICT = "ConfigMapConflict"
    """Somebody else has set a key of spec.publish in the ConfigMap: it is not overwritten. Choose
    another key, or remove that one. Retried at each resync."""
    CONFIG_MAP_FORBIDDEN = "ConfigMapForbidden"
    """The operator has no right to write ConfigMaps here. Set the chart's value publish.enabled.
    Retried at each resync."""
    CONFIG_MAP_REFUSED = "ConfigMapRefused"
    """The API server does not accept the ConfigMap, for example because it is immutable; the
    message says why. Retried at each resync."""
    REFERENCE_NOT_READY = "ReferenceNotReady"
    """The CloudImage of kernelRef or ramdiskRef does not exist or is not Ready. Continues
    automatically once it is."""

    REVISION_FAILED = "RevisionFailed"
    """The new image could not be made; the previous image stays in use. The message says which it
    is, and why the new one failed."""
    ADOPTED = "Adopted"
    """The image was already in Glance; this object manages it from now on."""
    ADOPTION_REFUSED = "AdoptionRefused"
    """The image of spec.adopt cannot be adopted; the message says why. Retried with growing
    pauses."""
    OBSERVED = "Observed"
    """The image is only observed, not managed; the status shows it as it is in Glance."""
    IMAGE_NOT_FOUND = "ImageNotFound"
    """No image in Glance matches spec.import or spec.adopt. Retried."""
    AMBIGUOUS = "Ambiguous"
    """Several images match spec.import.filter. Make it narrower, or give the id."""

    IN_USE = "InUse"
    """Servers or volumes made from the image still exist, or Glance's store says that it is in use.
    The image is deleted within 30 seconds after the last of them is gone."""
    USAGE_UNKNOWN = "UsageUnknown"
    """The compute service does not list servers for these credentials, so nobody can say whether
    some use the image. Let the credentials list them: an application credential with access rules
    needs one for GET /v2.1/servers/detail. Or set spec.usageCheck to IfPermitted to delete the
    image without asking. Retried with growing pauses."""
    SHARED = "Shared"
    """ImageShares share the image with other projects. It is deleted once they are gone."""
    PROTECTED = "Protected"
    """The image is protected in Glance. Set spec.image.protected to false to allow its deletion."""
