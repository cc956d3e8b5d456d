"""The types of an ImageShare's conditions and their reasons, with what each tells the user.

The reference in docs/ is made from these docstrings. What is wrong with a Secret or with the cloud
itself has the reasons of :class:`cloudimage.reconcile.reasons.Reason`.
"""

from enum import StrEnum


class ShareCondition(StrEnum):
    """The aspects of an ImageShare's state."""

    READY = "Ready"
    """Each project of the spec is a member of the image, whether or not it has accepted."""
    ACCEPTED = "Accepted"
    """Each of them has accepted, so the image is in its list."""
    DELETION_BLOCKED = "DeletionBlocked"
    """The object is being deleted, and servers of some projects still use the image; the message
    names them."""
    RECONCILING = "Reconciling"
    """Work is going on, or something is waited for (kstatus); present only while True."""
    STALLED = "Stalled"
    """Somebody has to act (kstatus); present only while True. The message says whether it is tried
    again by itself."""


class ShareReason(StrEnum):
    """Why a condition has its status. A Secret or a cloud at fault has a CloudImage's reasons."""

    SHARED = "Shared"
    """Each project of the spec is a member of the image."""
    ALL_ACCEPTED = "AllAccepted"
    """Each project of the spec has accepted the image."""
    AWAITING_ACCEPTANCE = "AwaitingAcceptance"
    """Some projects have not accepted yet; the message says what their users run."""
    REJECTED = "Rejected"
    """Users of a project rejected the image. That is theirs to say: it is not offered again."""
    IMAGE_NOT_READY = "ImageNotReady"
    """The CloudImage has no image yet. Goes on at once when it has."""
    NOT_SHAREABLE = "NotShareable"
    """There is no such CloudImage in the other namespace, or it does not name the ImageShare's
    namespace in spec.shareableFrom. What was given before is taken back."""
    IMAGE_NOT_FOUND = "ImageNotFound"
    """Glance has no image of that id or name. Looked for again within a minute."""
    AMBIGUOUS = "Ambiguous"
    """Several images have that name. Give the id."""
    VISIBILITY_CONFLICT = "VisibilityConflict"
    """Only an image with visibility shared has members, and this one is to have another. Nothing
    was changed; the message says what to change."""
    PROJECT_NOT_FOUND = "ProjectNotFound"
    """Keystone has no such project or domain. The others of the spec get the image, and nobody
    loses it meanwhile."""
    NOT_OWNER = "NotOwner"
    """The image belongs to another project than the credentials: only its owner and administrators
    can share it."""
    MEMBER_QUOTA_EXCEEDED = "MemberQuotaExceeded"
    """Glance takes no more members of one image (its image_member_quota). Ask the cloud's
    administrator, or use visibility community."""
    WRONG_PROJECT = "WrongProject"
    """The credentials of acceptWith are of another project, or of another cloud."""
    IN_USE = "InUse"
    """Servers of a project still use the image, so it is not taken back yet."""
    IMAGE_GONE = "ImageGone"
    """Event: the image, or the CloudImage that knows its cloud, is gone; nothing was taken back."""
    TAKEN_BACK = "TakenBack"
    """Event: the projects are members no more."""
