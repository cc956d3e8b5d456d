"""The types of conditions and their reasons, with what each tells the user.

The reference in docs/ is made from these docstrings.
"""

import ast
import inspect
import itertools
import textwrap
from enum import StrEnum


class ConditionType(StrEnum):
    """The aspects of a CloudImage's state."""

    READY = "Ready"
    """Servers can be made from status.imageID: its bytes were verified and it is as the spec says.

    While new bytes are on their way, the image that serves until then keeps it True."""
    VERIFIED = "Verified"
    """The downloaded file has the checksum of the spec."""
    UPLOADED = "Uploaded"
    """Glance holds all bytes, and its own hash of them equals ours."""
    SYNCED = "Synced"
    """Glance's metadata of the image equals the spec."""
    PROPERTIES_VALID = "PropertiesValid"
    """No property has a value that OpenStack's own definitions say cannot work. A warning only."""
    DELETION_BLOCKED = "DeletionBlocked"
    """The object is being deleted and something still holds the image; the message says what."""
    RECONCILING = "Reconciling"
    """Work is going on (kstatus); present only while True."""
    STALLED = "Stalled"
    """It cannot go on as things are (kstatus); present only while True. The message says whether
    it is tried again by itself."""


class Reason(StrEnum):
    """Why a condition has its status."""

    AVAILABLE = "Available"
    """The image is active and everything is as the spec says."""
    REPLACEMENT_PENDING = "ReplacementPending"
    """The image made from the previous spec serves until the new one is there."""
    DEACTIVATED = "Deactivated"
    """An administrator deactivated the image in Glance; it is not reactivated by itself."""
    PROGRESSING = "Progressing"
    """Work is going on; status.progress shows how far it is."""
    PENDING = "Pending"
    """Not begun, or not known yet."""
    DELETING = "Deleting"
    """The object is being deleted."""

    CHECKSUM_MATCHED = "ChecksumMatched"
    """The file has the checksum of the spec."""
    NO_CHECKSUM = "NoChecksum"
    """The spec gives no checksum, so only the way into Glance was verified, not the source."""
    HASH_MATCHED = "HashMatched"
    """Glance's hash of the stored bytes equals the one computed while they were sent."""
    IN_SYNC = "InSync"
    """Nothing differs."""
    DRIFTED = "Drifted"
    """Somebody changed the image in Glance, and spec.driftPolicy is Report. The message names the
    fields."""
    DRIFT_CORRECTED = "DriftCorrected"
    """Event: somebody changed the image in Glance, and it was put back."""
    IMAGE_DELETED = "ImageDeleted"
    """Somebody deleted the image in Glance. It is made again where there is a source."""
    PROPERTIES_KNOWN = "PropertiesKnown"
    """Each property has a value that OpenStack documents, or is not known to it."""
    INVALID_PROPERTIES = "InvalidProperties"
    """A property has a value that cannot work; the message says which values do."""
    REFERENCE_NOT_READY = "ReferenceNotReady"
    """The CloudImage of kernelRef or ramdiskRef is not there or not Ready. Goes on by itself."""

    REVISION_FAILED = "RevisionFailed"
    """The new image could not be made; the one of the previous spec goes on serving. The message
    says which, and why the new one failed."""
    ADOPTED = "Adopted"
    """The image was in Glance before; it is managed here from now on."""
    ADOPTION_REFUSED = "AdoptionRefused"
    """The image of spec.adopt is not one to take over; the message says why. Looked at again with
    growing pauses."""
    OBSERVED = "Observed"
    """The image is not managed here; it is as Glance shows it."""
    IMAGE_NOT_FOUND = "ImageNotFound"
    """No image in Glance is the one of spec.import or spec.adopt. Looked for again."""
    AMBIGUOUS = "Ambiguous"
    """Several images fit spec.import.filter. Make it narrower, or give the id."""

    SECRET_NOT_FOUND = "SecretNotFound"  # noqa: S105  # a reason, not a password
    """A Secret that the spec names, or a key in it, is not there. Goes on by itself once it is."""
    SECRET_NOT_FOR_HOST = "SecretNotForHost"  # noqa: S105  # as above
    """The Secret of spec.source.http.auth says by its annotation cloudimage.dev/hosts that it is
    for other hosts than the source's, or the operator demands that annotation. Nothing was sent.
    Change the source or the annotation. Looked at again within a minute."""
    CONFIG_MAP_NOT_FOUND = "ConfigMapNotFound"
    """A ConfigMap that the spec names, or its key, is not there. Goes on by itself once it is."""
    INVALID_CLOUDS_YAML = "InvalidCloudsYaml"
    """clouds.yaml in the Secret cannot be read or asks for what is not allowed. Looked at again
    within a minute."""
    CLOUD_NOT_FOUND = "CloudNotFound"
    """clouds.yaml in the Secret has no cloud of that name. Looked at again within a minute."""
    INVALID_CREDENTIALS = "InvalidCredentials"
    """Keystone refuses the credentials. Tried again with pauses of up to 5 minutes, since Keystone
    may lock a user out after some wrong passwords."""
    CLOUD_REFUSED = "CloudRefused"
    """The operator's cloudPolicy does not allow the host or the address of the cloud, of its
    clouds.yaml or its catalogue. Change it, or ask who runs the operator. Tried again with pauses
    of up to 5 minutes."""
    CLOUD_UNREACHABLE = "CloudUnreachable"
    """The cloud does not answer, or answers with a fault of its own. Tried again with pauses of up
    to 5 minutes, or longer where it asks for that; the message says since when."""
    CLOUD_ERROR = "CloudError"
    """The cloud answered in a way that was not expected. Tried again."""
    CONFLICT = "Conflict"
    """Glance says that the image's state forbids the change. Tried again."""
    NOT_FOUND = "NotFound"
    """The image went away while it was worked on. Tried again."""
    FORBIDDEN = "Forbidden"
    """The cloud's policy does not allow it, for instance visibility public for a project that is
    not the administrators'. Change the spec, or ask the cloud's administrator. Tried again with
    growing pauses, since a right may be granted."""
    INVALID_IMAGE = "InvalidImage"
    """Glance refuses a value of spec.image; the message has its words. Change the spec."""
    QUOTA_EXCEEDED = "QuotaExceeded"
    """The project's image quota is used up. Free some or have it raised. Tried again with
    growing pauses."""

    SOURCE_UNREACHABLE = "SourceUnreachable"
    """The source's server cannot be reached, or answers with a fault of its own. Tried again with
    growing pauses."""
    SOURCE_NOT_FOUND = "SourceNotFound"
    """The source's server has no such file. Tried again with growing pauses."""
    SOURCE_REFUSED = "SourceRefused"
    """The source's server, or our own rules for URLs, refuse it. Mend the Secret of
    spec.source.http.auth, or change the spec. Tried again with growing pauses."""
    SOURCE_NOT_AN_IMAGE = "SourceNotAnImage"
    """What came is not a disk image, for instance a web page. Change the spec."""
    SOURCE_TRUNCATED = "SourceTruncated"
    """The file ended before its announced length, or nothing proves that it is whole: its server
    says no length and just closes the connection. Give a checksum, or have the server send a
    Content-Length. Tried again with growing pauses."""
    CHECKSUM_MISMATCH = "ChecksumMismatch"
    """The file does not have the checksum of the spec. Nothing was uploaded. Change one of them.
    A checksum of spec.source.http.checksum.from is read anew with growing pauses: its publisher may
    just be putting a new build there."""
    SUMS_FILE_INVALID = "SumsFileInvalid"
    """The file of checksums cannot be read, or does not name the image. Change
    spec.source.http.checksum.from. Tried again with growing pauses, since its publisher
    may mend it."""
    SIGNATURE_INVALID = "SignatureInvalid"
    """The signature is not good, or not by a key of the keyring. Nothing was uploaded.
    Mend the keyring's Secret or ConfigMap. Tried again with growing pauses."""
    SIGNATURE_MATCHED = "SignatureMatched"
    """The signature is good, and by a key of the keyring."""
    METHOD_UNAVAILABLE = "MethodUnavailable"
    """The cloud does not offer spec.import.method, or it cannot keep what the spec promises.
    Choose another, or Auto."""
    WEAK_CHECKSUM = "WeakChecksum"
    """The file has the checksum of the spec, but MD5 and SHA-1 can be forged: ask for a better
    one."""
    UNSAFE_IMAGE = "UnsafeImage"
    """The image reaches outside itself, or is not what it is declared to be. Refused for good."""
    UNSUPPORTED_FORMAT = "UnsupportedFormat"
    """The source's format cannot be converted to the wanted one, or is encrypted. Change
    spec.image.diskFormat, or the source; a LUKS volume that is meant is declared as raw."""
    IMAGE_TOO_LARGE = "ImageTooLarge"
    """The virtual size is over spec.image.minDiskGiB or over a limit of the operator."""
    INSUFFICIENT_SCRATCH = "InsufficientScratch"
    """The operator's scratch volume has too little room. Tried again with growing pauses."""
    CONVERSION_FAILED = "ConversionFailed"
    """The image could not be read to its end; it is damaged, or reading it took too long. Tried
    again with growing pauses."""
    UPLOAD_FAILED = "UploadFailed"
    """The upload broke off. Tried again with growing pauses."""
    UPLOAD_MISMATCH = "UploadMismatch"
    """Glance stored other bytes than were sent; they were deleted. Tried again."""
    INVALID_REQUEST = "InvalidRequest"
    """The transfer could not understand the spec. Change it, or report a bug."""
    INTERRUPTED = "Interrupted"
    """The transfer was stopped from outside. Tried again at once."""
    JOB_NOT_STARTED = "JobNotStarted"
    """The transfer's Job cannot be made, or its pod cannot run: a quota, an admission policy, no
    room on any node, no way to pull the image; the message says which. Ask the cluster's
    administrator. Tried again with growing pauses."""
    INTERNAL_ERROR = "InternalError"
    """A fault of the operator, whose log has the details: please report it. The message names the
    class of the exception; DeadlineExceededError is a look that hangs, in most cases at a cloud
    that does not answer. Or the operator's container image lacks a program, or its kernel seccomp,
    as the message says. Tried again with pauses of up to 5 minutes."""

    IN_USE = "InUse"
    """Servers or volumes were made from the image and still exist, or Glance's store says that it
    is in use. It is deleted within 30 seconds of the last one's end."""
    SHARED = "Shared"
    """ImageShares give the image to other projects. It is deleted once they are gone."""
    PROTECTED = "Protected"
    """The image is protected in Glance. Set spec.image.protected to false to let it go."""


CREDENTIALS_REASONS = frozenset(
    {
        Reason.SECRET_NOT_FOUND,
        Reason.SECRET_NOT_FOR_HOST,
        Reason.CONFIG_MAP_NOT_FOUND,
        Reason.INVALID_CLOUDS_YAML,
        Reason.CLOUD_NOT_FOUND,
        Reason.INVALID_CREDENTIALS,
        Reason.CLOUD_REFUSED,
    }
)
"""The Secret is at fault: looked at again regularly, since nobody tells us when it changes."""

ABSENT_REASONS = frozenset(
    {
        Reason.IMAGE_NOT_FOUND,
        Reason.IMAGE_DELETED,
        Reason.AMBIGUOUS,
        Reason.ADOPTION_REFUSED,
    }
)
"""There is no image to use. It is looked for again with growing pauses."""

TERMINAL_REASONS = frozenset(
    {
        Reason.INVALID_IMAGE,
        Reason.SOURCE_NOT_AN_IMAGE,
        Reason.CHECKSUM_MISMATCH,
        Reason.METHOD_UNAVAILABLE,
        Reason.UNSAFE_IMAGE,
        Reason.UNSUPPORTED_FORMAT,
        Reason.IMAGE_TOO_LARGE,
        Reason.INVALID_REQUEST,
    }
)
"""The same spec would meet them again: nothing is tried until the spec changes or the annotation
cloudimage.dev/retry gets a new value.

Whether a ChecksumMismatch is one of them: :func:`cloudimage.images.logic.schedule.is_terminal`."""


def member_docs(vocabulary: type[StrEnum]) -> dict[str, str]:
    """Return the docstring below each member, by the member's value.

    Python drops those strings, so they are read from the source.

    Raises:
        ValueError: A member has none.
    """
    (definition_,) = ast.parse(textwrap.dedent(inspect.getsource(vocabulary))).body
    assert isinstance(definition_, ast.ClassDef)  # noqa: S101  # getsource of a class
    docs: dict[str, str] = {}
    for statement, following in itertools.pairwise(definition_.body):
        match statement, following:
            case (
                ast.Assign(targets=[ast.Name(id=name)]),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                docs[vocabulary[name].value] = inspect.cleandoc(text)
    undocumented = {member.value for member in vocabulary} - docs.keys()
    if undocumented:
        raise ValueError(f"{vocabulary.__name__}: no docstring below {sorted(undocumented)}")
    return docs


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
