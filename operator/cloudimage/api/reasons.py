"""The types of conditions and their reasons, with what each means to the user.

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


class Reason(StrEnum):
    """Why a condition has its status."""

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

    ASKED = "Asked"
    """The source has said which version it has."""
    UP_TO_DATE = "UpToDate"
    """The version that is served is the newest that the source has."""
    UPDATING = "Updating"
    """A new version of the source is being made into an image; the previous image serves
    meanwhile."""
    UPDATE_REPORTED = "UpdateReported"
    """The source has a newer version, and spec.follow.policy is Report. Set it to Apply, or change
    spec.source."""
    UPDATE_HELD = "UpdateHeld"
    """A newer version waits for spec.follow.minimumAge or spec.follow.window; the message says
    until when."""
    UPDATE_FAILED = "UpdateFailed"
    """No image could be made of the source's newest version; the message says why. The image
    before it stays in use. Retried once the source has another version, or on request."""
    SOURCE_WENT_BACK = "SourceWentBack"
    """The source has an older version than the one that is served, or one that was served before.
    The image stays as it is. If that is meant, name that version in spec.source."""
    SUSPENDED = "Suspended"
    """spec.follow.suspend is true: the source is not asked."""
    INVALID_SCHEDULE = "InvalidSchedule"
    """A schedule or the time zone in spec.follow cannot be understood; the message says which."""
    NOT_FOLLOWABLE = "NotFollowable"
    """spec.source says for good which bytes it means, so that there is nothing to follow: a digest,
    a version, an id, or a checksum. The message says what to change; or remove spec.follow."""

    BOOT_TEST_PASSED = "BootTestPassed"
    """A server made from the image has booted, and has shown what spec.bootTest expects."""
    NO_VALID_HOST = "NoValidHost"
    """Nova finds no host for the test's server, which says nothing of the image: no host has room
    for the flavor, or none fits a property of the image such as hw_firmware_type. Ask the cloud's
    administrator, or change spec.bootTest.flavor. Retried with pauses of up to an hour."""
    BUILD_FAILED = "BuildFailed"
    """Nova could not build the test's server, told nothing of it for too long, has no console of
    it, or it is gone; the message has Nova's words. The image is not blamed. Retried with pauses
    of up to an hour."""
    NO_CONSOLE = "NoConsole"
    """The test's server runs and has written nothing to its console within
    spec.bootTest.expect.within: the image does not boot, or its kernel has no serial console. Give
    the kernel console=ttyS0 (on arm64 ttyAMA0), and check hw_firmware_type and hw_disk_bus."""
    TIMEOUT = "Timeout"
    """The test's server runs, and its guest did not report within spec.bootTest.expect.within: it
    does not boot, or has no cloud-init that runs user data. The message has the last lines of its
    console. Fix the image, or give it more time."""
    NO_ADDRESS = "NoAddress"
    """The guest has booted and lacks an address that Nova gave its server, or that
    spec.bootTest.expect wants; the message says which. Check the image's network configuration: by
    DHCP for IPv4, by router advertisements or DHCPv6 for IPv6, on every interface. If earlier
    images lack it as well, check the network's subnets: whether they have DHCP, and for IPv6 a
    router."""
    KEY_NOT_INJECTED = "KeyNotInjected"
    """The guest has booted, and the key of its server lets no user in, or not spec.bootTest.user:
    it is in no authorized_keys, or for a forced command only. Check cloud-init's datasources and
    its module for SSH in the image."""
    CONSOLE_MISMATCH = "ConsoleMismatch"
    """No part of the console's text matches spec.bootTest.expect.consoleMatches in time. The
    message has its last lines."""
    SSH_FAILED = "SSHFailed"
    """The guest has the key and the addresses, and does not let the operator in by ssh, though it
    was reached; the message says why. Check how sshd is set up in the image."""
    SSH_UNREACHABLE = "SSHUnreachable"
    """The operator got no connection to the SSH server of the test's server, or to another that has
    not the host key that the guest reported; the message says why. The image is not blamed. Check
    that the operator can reach the network: the operator's cloudPolicy, the chart's
    networkPolicy.egress, and the project's security groups have to allow port 22. Then check
    that sshd starts in the image. Retried with pauses of up to an hour."""

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

    SECRET_NOT_FOUND = "SecretNotFound"  # noqa: S105  # a reason, not a password
    """A Secret that the spec names, or a key in it, does not exist. Continues automatically once it
    does."""
    SECRET_NOT_FOR_HOST = "SecretNotForHost"  # noqa: S105  # as above
    """The annotation cloudimage.dev/hosts of the Secret that the source names does not list its
    host, or is missing although the operator requires it. Nothing was sent. Change the
    source or the annotation. Retried within a minute."""
    CONFIG_MAP_NOT_FOUND = "ConfigMapNotFound"
    """A ConfigMap that the spec names, or its key, does not exist. Continues automatically once it
    does."""
    INVALID_CLOUDS_YAML = "InvalidCloudsYaml"
    """clouds.yaml in the Secret cannot be read, or has options that are not allowed. Retried within
    a minute."""
    CLOUD_NOT_FOUND = "CloudNotFound"
    """clouds.yaml in the Secret has no cloud of that name. Retried within a minute."""
    CLOUD_MISCONFIGURED = "CloudMisconfigured"
    """clouds.yaml in the Secret leads to no cloud that can be used: no Keystone answers at
    auth.auth_url, the catalogue has no image service for region_name and interface, or a TLS
    certificate is not trusted, has expired or is for another host. The message says which key to
    change. The Secret is read again within a minute, and the cloud is asked at once when it has
    changed, else with pauses of up to 30 minutes."""
    INVALID_CREDENTIALS = "InvalidCredentials"
    """Keystone, or the store of the source's bucket, rejects the credentials, or a pull Secret
    cannot be read. Retried with pauses of up to 5 minutes, since Keystone may lock a user out after
    several wrong passwords."""
    CLOUD_REFUSED = "CloudRefused"
    """The operator's cloudPolicy does not allow a host or address of the cloud, given in
    clouds.yaml or in the cloud's catalogue. Change clouds.yaml, or ask the operator's
    administrator. Retried with pauses of up to 5 minutes."""
    CLOUD_UNREACHABLE = "CloudUnreachable"
    """The cloud does not answer, or answers with a server error. Retried with pauses of up to 5
    minutes, or longer if the cloud asks for it; the message says since when."""
    CLOUD_ERROR = "CloudError"
    """The cloud gave an unexpected answer. Retried."""
    CONFLICT = "Conflict"
    """Glance refuses the change in the image's present state, or Nova what is asked for in the
    present state of the boot test's server or image. Retried."""
    NOT_FOUND = "NotFound"
    """The image disappeared while the operator was working on it. Retried."""
    FORBIDDEN = "Forbidden"
    """The cloud's policy does not allow it, for example visibility public without administrator
    rights, or a proxy before a service limits the size of a request, or an application credential
    has no access rule for a request of a boot test. Change the spec, or ask the cloud's
    administrator. Retried with growing pauses, since the right may be granted."""
    INVALID_IMAGE = "InvalidImage"
    """Glance rejects a value of spec.image; the message quotes Glance. Change the spec."""
    QUOTA_EXCEEDED = "QuotaExceeded"
    """The project's quota of images, or of volumes and their snapshots, is used up, or for a boot
    test that of servers, cores, memory, ports, or the user's of key pairs; the message says which.
    Delete some, or ask for a higher quota. Retried with growing pauses."""

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

    FLAVOR_NOT_FOUND = "FlavorNotFound"
    """Nova has no flavor of the id or the name in spec.bootTest.flavor, or none that the project
    may use. Correct it, or have a private flavor made available to the project. Not retried
    until the spec changes or the annotation cloudimage.dev/retry gets a new value."""
    FLAVOR_TOO_SMALL = "FlavorTooSmall"
    """The memory or the disk of spec.bootTest.flavor, or spec.bootTest.volumeGiB, is too small for
    the image or for its minRamMiB and minDiskGiB; or the flavor has no disk, and volumeGiB is not
    set. Choose a larger flavor or volume. Not retried until the spec changes or the annotation
    cloudimage.dev/retry gets a new value."""
    NETWORK_NOT_FOUND = "NetworkNotFound"
    """A network of spec.bootTest.networks is not there, or the project may not see it; or none is
    named, and the project has none and Nova cannot make one for it. Correct it, have the network
    shared with the project, or set networks to [] for a server without any. Or no subnet of them
    has a family of addresses that spec.bootTest.expect wants: add one. Not retried until the
    spec changes or the annotation cloudimage.dev/retry gets a new value."""
    NETWORK_AMBIGUOUS = "NetworkAmbiguous"
    """Several networks have the name in spec.bootTest.networks; the message has their ids. Or none
    is named, and the project has several: Nova does not choose. Give the id. Not retried until
    the spec changes or the annotation cloudimage.dev/retry gets a new value."""
    SERVER_REFUSED = "ServerRefused"
    """Nova refuses to make the server of the boot test; the message quotes it. Change spec.bootTest
    or the properties of spec.image that it names. Or the cloud has no Nova, or one that is too old,
    as the message says. Not retried until the spec changes or the annotation
    cloudimage.dev/retry gets a new value."""

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


CREDENTIALS_REASONS = frozenset(
    {
        Reason.SECRET_NOT_FOUND,
        Reason.SECRET_NOT_FOR_HOST,
        Reason.CONFIG_MAP_NOT_FOUND,
        Reason.INVALID_CLOUDS_YAML,
        Reason.CLOUD_NOT_FOUND,
        Reason.CLOUD_MISCONFIGURED,
        Reason.INVALID_CREDENTIALS,
        Reason.CLOUD_REFUSED,
    }
)
"""The Secret is at fault: retried regularly, since the operator gets no notice when it changes."""

ABSENT_REASONS = frozenset(
    {
        Reason.IMAGE_NOT_FOUND,
        Reason.IMAGE_DELETED,
        Reason.AMBIGUOUS,
        Reason.ADOPTION_REFUSED,
    }
)
"""There is no image to use. Retried with growing pauses."""

BOOT_VERDICTS = frozenset(
    {
        Reason.NO_CONSOLE,
        Reason.TIMEOUT,
        Reason.NO_ADDRESS,
        Reason.KEY_NOT_INJECTED,
        Reason.CONSOLE_MISMATCH,
        Reason.SSH_FAILED,
    }
)
"""What a boot test says of the image: the same bytes would show it again."""

TERMINAL_REASONS = frozenset(
    {
        Reason.INVALID_IMAGE,
        Reason.METHOD_UNAVAILABLE,
        Reason.INVALID_REQUEST,
        *BOOT_VERDICTS,
        Reason.CUSTOMIZE_FAILED,
        Reason.CUSTOMIZE_UNAVAILABLE,
    }
)
"""The same spec would fail again: not retried until the spec changes or the annotation
cloudimage.dev/retry gets a new value."""

TERMINAL_IF_PROVEN = frozenset(
    {
        Reason.SOURCE_NOT_AN_IMAGE,
        Reason.UNSAFE_IMAGE,
        Reason.UNSUPPORTED_FORMAT,
        Reason.IMAGE_TOO_LARGE,
        Reason.LINT_FAILED,
    }
)
"""Faults of the bytes, which are also terminal if these are the bytes that the checksum or the
signature demands. Otherwise the server may have others the next time:
:func:`cloudimage.images.logic.schedule.is_terminal`."""


def member_docs(vocabulary: type[StrEnum]) -> dict[str, str]:
    """Return the docstring below each member, by the member's value.

    Python drops those strings, so they are read from the source.

    Raises:
        ValueError: A member has no docstring.
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
