"""Reasons of conditions of an ImageShare."""

from enum import StrEnum


class ShareReason(StrEnum):
    """Why a condition has its status. A faulty Secret or cloud has the reasons of CloudImage."""

    SHARED = "Shared"
    """Every project of the spec is a member of the image."""
    ALL_ACCEPTED = "AllAccepted"
    """Every project of the spec has accepted the image."""
    AWAITING_ACCEPTANCE = "AwaitingAcceptance"
    """Some projects have not accepted yet; the message has the command for their users."""
    REJECTED = "Rejected"
    """A project rejected the image. The operator respects that and does not offer it again."""
    IMAGE_NOT_READY = "ImageNotReady"
    """The CloudImage has no image yet. Continues as soon as it has."""
    NOT_SHAREABLE = "NotShareable"
    """There is no such CloudImage in the other namespace, or its spec.shareableFrom does not list
    the ImageShare's namespace. Existing members are revoked."""
    IMAGE_NOT_FOUND = "ImageNotFound"
    """Glance has no image with that id or name. Retried within a minute."""
    AMBIGUOUS = "Ambiguous"
    """Several images have that name. Give the id."""
    VISIBILITY_CONFLICT = "VisibilityConflict"
    """Only an image with visibility shared can have members, but this one has another visibility.
    Nothing was changed; the message says what to change."""
    PROJECT_NOT_FOUND = "ProjectNotFound"
    """Keystone has no such project or domain. The other projects of the spec get the image, and no
    member is revoked meanwhile."""
    NOT_OWNER = "NotOwner"
    """The image and the credentials belong to different projects: only the owner and administrators
    can share an image."""
    MEMBER_QUOTA_EXCEEDED = "MemberQuotaExceeded"
    """The image has as many members as Glance allows (its image_member_quota). Ask the cloud's
    administrator, or use visibility community."""
    WRONG_PROJECT = "WrongProject"
    """The credentials of acceptWith belong to another project or another cloud."""
    IN_USE = "InUse"
    """Servers of a project still use the image, so the member is not revoked yet."""
    IMAGE_GONE = "ImageGone"
    """Event: the image, or the CloudImage that has its credentials, is gone; no member was
    revoked."""
    TAKEN_BACK = "TakenBack"
    """Event: the projects are no longer members."""
