"""The types of conditions."""

from enum import StrEnum


class ConditionType(StrEnum):
    """The aspects of a CloudImage's state."""

    READY = "Ready"
    """Servers can be made from status.imageID: its bytes were verified and it matches the spec.

    It stays True while a new image is being made and the previous image is still in use."""
    VERIFIED = "Verified"
    """The source file matches the checksum in the spec."""
    CUSTOMIZED = "Customized"
    """Every step of spec.customize was done to the image. Only there with spec.customize."""
    UPLOADED = "Uploaded"
    """Glance has all bytes, and its own hash of them equals ours."""
    LINTED = "Linted"
    """The image was looked into, and nothing was found that does not belong in a cloud; see
    status.lint. Only a warning, but with spec.lint Enforce. Not there with spec.lint Skip."""
    SYNCED = "Synced"
    """The image's metadata in Glance equals the spec."""
    PROPERTIES_VALID = "PropertiesValid"
    """No property has a value that OpenStack's definitions rule out, or a name that looks misspelt.
    Only a warning."""
    NAME_UNIQUE = "NameUnique"
    """No other image that the credentials can see has the image's name in Glance. Only a
    warning."""
    FOLLOWING = "Following"
    """The source is asked for new versions as spec.follow says, and what it has is no worse than
    what is served. While it is False the image stays in use. Only there with spec.follow."""
    UPDATE_AVAILABLE = "UpdateAvailable"
    """The source has a newer version than the one that is served; the message says which, and why
    it is not applied yet. Only there with spec.follow."""
    BOOTED = "Booted"
    """A server made from the image has shown what spec.bootTest expects; Unknown while it is
    tested. While it is False the message says why, with the last lines of its console. Only there
    with spec.bootTest."""
    RETENTION_APPLIED = "RetentionApplied"
    """Every earlier image is what spec.retention makes of it at its age. While it is False the
    message says which image is not, and what holds it. Only there with spec.retention."""
    PROVENANCE_COMPLETE = "ProvenanceComplete"
    """The image has every property that the standard of spec.provenance demands. Only a warning.
    Only there with spec.provenance."""
    PUBLISHED = "Published"
    """The ConfigMap of spec.publish has the id of the image. Only there with spec.publish."""
    DELETION_BLOCKED = "DeletionBlocked"
    """The object is being deleted, but the image is still in use; the message says by what."""
    RECONCILING = "Reconciling"
    """The operator is working on it (kstatus); present only while True."""
    STALLED = "Stalled"
    """Progress is blocked until something changes (kstatus); present only while True. The message
    says whether the operator retries it automatically."""


class ShareCondition(StrEnum):
    """The aspects of an ImageShare's state."""

    READY = "Ready"
    """Every project of the spec is a member of the image, whether or not it has accepted."""
    ACCEPTED = "Accepted"
    """Every project of the spec has accepted, so the image is in its image list."""
    RETENTION_APPLIED = "RetentionApplied"
    """Every earlier image is what spec.retention makes of it at its age. While it is False the
    message says which image is not, and what holds it. Only there with spec.retention."""
    DELETION_BLOCKED = "DeletionBlocked"
    """The object is being deleted, but servers of some projects still use the image; the message
    names them."""
    RECONCILING = "Reconciling"
    """The operator is working on it, or waiting for something (kstatus); present only while
    True."""
    STALLED = "Stalled"
    """A user has to act (kstatus); present only while True. The message says whether the operator
    retries it automatically."""
