"""Reasons of conditions: a transfer, from its source to Glance."""

from enum import StrEnum


class TransferReason(StrEnum):
    """What came of a transfer."""

    SOURCE_UNREACHABLE = "SourceUnreachable"
    """The source's server cannot be reached, or answers with a server error. Retried with growing
    pauses."""
    SOURCE_NOT_FOUND = "SourceNotFound"
    """The source's server has no such file, its store no such bucket, object or version, its
    registry no such image, or its cloud no such image, server or volume, or none that the
    credentials can see and that is active. Retried with growing pauses."""
    SOURCE_AMBIGUOUS = "SourceAmbiguous"
    """Several active images match the name or the filter of spec.source.glance, or several servers
    or volumes the name in spec.source; the message has their ids. Make it narrower, hide the other
    images in Glance, or give the id. Retried with growing pauses."""
    SOURCE_BUSY = "SourceBusy"
    """The server or the volume of spec.source cannot be taken a snapshot of just now: another task
    is in progress, or the volume is attached to a server. The message says what to do. Retried with
    growing pauses."""
    SNAPSHOT_FAILED = "SnapshotFailed"
    """The cloud accepted to make the snapshot and gave it up, or made no progress for too long.
    Look at the server's events (openstack server event list) or at Cinder's messages (openstack
    volume message list); a quota may be used up. What was made of it is deleted. Retried with
    pauses of up to an hour, since each try makes a snapshot."""
    SNAPSHOT_TAKEN = "SnapshotTaken"
    """The image is the snapshot itself: nothing had to be converted, and no byte was moved."""
    SOURCE_REFUSED = "SourceRefused"
    """The source's server, or the operator's URL policy, refuses it, or the source's Glance, where
    the image is deactivated or its policy does not let the credentials download it, or its Nova or
    Cinder, which makes no snapshot of the server or volume as it is, or the store of its bucket,
    where the access key has no right or the object is archived. Fix the Secret that the source
    names, change the spec, or ask the administrators of the source. Retried with growing pauses."""
    SOURCE_NOT_AN_IMAGE = "SourceNotAnImage"
    """What came is not a disk image but, for example, a web page or an empty file, or an image that
    cannot be opened, or has no disk, or several of which the spec must name one: the message says
    what it is, or quotes the program that read it. Change the spec, or have the image made again,
    unless the server is only being repaired."""
    SOURCE_TRUNCATED = "SourceTruncated"
    """The file ended before its announced length, or nothing proves that it is complete: its server
    gives no length and just closes the connection. Give a checksum, or make the server send a
    Content-Length. Retried with growing pauses."""
    CHECKSUM_MISMATCH = "ChecksumMismatch"
    """The source file does not match the checksum in the spec, in its checksum file, or in its
    registry's manifest. Nothing was uploaded. Change one of them. Retried with pauses of up to an
    hour, since the mirror or the publisher may be in the middle of an update; checksum files are
    read again each time."""
    SUMS_FILE_INVALID = "SumsFileInvalid"
    """The checksum file cannot be read, or does not name the source file. Change
    spec.source.http.checksum.from. Retried with growing pauses, since the publisher may fix it."""
    SIGNATURE_INVALID = "SignatureInvalid"
    """The signature is not valid, or not made by a key in the keyring. Nothing was uploaded. Fix
    the keyring's Secret or ConfigMap. Retried with growing pauses."""
    SIGNATURE_MATCHED = "SignatureMatched"
    """The signature is valid and made by a key in the keyring."""
    METHOD_UNAVAILABLE = "MethodUnavailable"
    """The cloud does not offer spec.import.method, or that method cannot satisfy the spec. Choose
    another, or Auto."""
    WEAK_CHECKSUM = "WeakChecksum"
    """The source file matches the checksum in the spec, but MD5 and SHA-1 can be forged: use a
    stronger one."""
    SOURCE_PARTLY_USED = "SourcePartlyUsed"
    """The source file has more in it than the image: bytes behind the end of its compressed stream,
    or other files beside the image in its archive. They were left out, as the message says. Nothing
    needs to be done if the publisher makes it so; else compare the file with the publisher's."""
    UNSAFE_IMAGE = "UnsafeImage"
    """The image refers to data outside itself, or is not what it claims to be. It is always
    refused."""
    UNSUPPORTED_FORMAT = "UnsupportedFormat"
    """The source's format cannot be converted to the wanted one, Glance would not take it (a fixed
    VHD as vhd), or the source is encrypted, or a VHDX that was not closed. The message says which.
    Change spec.image.diskFormat or the source; declare an intended LUKS volume as raw."""
    IMAGE_TOO_LARGE = "ImageTooLarge"
    """The virtual size exceeds spec.image.minDiskGiB or a limit of the operator, or the image is
    larger than Glance's image_size_cap."""
    INSUFFICIENT_SCRATCH = "InsufficientScratch"
    """The operator's scratch volume has too little space. Retried with growing pauses."""
    CUSTOMIZED = "Customized"
    """Every step of spec.customize was done."""
    CUSTOMIZE_FAILED = "CustomizeFailed"
    """A step of spec.customize failed, took too long, used more than it may, or needs a server that
    the operator's URL policy refuses; the message and status.customize say which, with the last of
    what it wrote unless that may have a part of a Secret. Nothing was uploaded. Change
    spec.customize, or the source, or have the operator's administrator change urlPolicy: the same
    step would fail again."""
    CUSTOMIZE_NETWORK_FAILED = "CustomizeNetworkFailed"
    """A step of spec.customize failed that had asked servers for something (network: true); the
    message and status.customize say which, with the last of what it wrote, and which servers could
    not be reached. The next try may get another answer. Retried with growing pauses. What the
    operator's URL policy refuses is CustomizeFailed."""
    CUSTOMIZE_UNAVAILABLE = "CustomizeUnavailable"
    """This operator has no container image with libguestfs, which spec.customize needs: its
    administrator sets the chart's customize.image.repository. Then give the annotation
    cloudimage.dev/retry a new value."""
    CONVERSION_FAILED = "ConversionFailed"
    """The image could not be read to its end: it is damaged, or reading it took too long. Retried
    with growing pauses."""
    CLEAN = "Clean"
    """The image was looked into, and nothing was found."""
    FINDINGS_FOUND = "FindingsFound"
    """The image has something that does not belong in a cloud, such as a password, a key or a
    machine id, or lacks what belongs there; status.lint has each finding, and what to do. The image
    is used all the same. Have the image made without it, or set spec.lint to Skip."""
    NOT_LOOKED_INTO = "NotLookedInto"
    """What is in the image is not known: its bytes did not come through the scratch, or a look
    would have taken too much of it; the message says which. Set spec.lint to Warn or Enforce to
    have it done at the next transfer, or to Skip."""
    FILE_SYSTEM_UNKNOWN = "FileSystemUnknown"
    """What is in the image is not known: no Linux was found on it, or its file system is damaged or
    newer than the program that reads it; the message says which. The image is used, also with
    spec.lint Enforce, which has not checked it then."""
    LINT_FAILED = "LintFailed"
    """spec.lint is Enforce, and the image has something that does not belong in a cloud, or lacks
    what does; status.lint has each finding. Nothing was uploaded. Have the image made without it,
    or set spec.lint to Warn. Retried with growing pauses where the source may have other bytes by
    then."""
    UPLOAD_FAILED = "UploadFailed"
    """The upload was interrupted, or Glance could not store or import the image, or get the
    certificate of its property img_signature_certificate_uuid from the key manager. Retried with
    growing pauses."""
    UPLOAD_MISMATCH = "UploadMismatch"
    """Glance stored different bytes than were sent; they were deleted. Retried."""
    INVALID_REQUEST = "InvalidRequest"
    """The transfer could not understand the spec. Change the spec, or report a bug."""
    INTERRUPTED = "Interrupted"
    """The transfer was stopped from outside, or ran out of memory, or the virtual machine of
    spec.customize ended. Retried at once, then with growing pauses."""
    JOB_NOT_STARTED = "JobNotStarted"
    """The transfer's Job cannot be created, or its pod cannot run: a quota, an admission policy, no
    node with enough room, a container image that cannot be pulled, or a volume that cannot be
    mounted; the message says which. Or the operator may make none, as a source in a volume needs.
    Ask the cluster's administrator. Retried with growing pauses."""
    INTERNAL_ERROR = "InternalError"
    """An internal error of the operator; its log has the details: please report it. The message
    names the class of the exception; DeadlineExceededError means that a reconcile hung, usually
    because a cloud did not answer. Or, as the message says, the operator's container image lacks a
    program, or its kernel lacks seccomp. Retried with pauses of up to 5 minutes."""
