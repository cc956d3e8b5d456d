"""What goes into a transfer and what comes out: the contract with whoever runs it.

A transfer reads one :class:`~cloudimage.transfer.request.TransferRequest` as a line of JSON from
its standard input and writes :class:`Event` lines to its standard output: any number of
:class:`Progress`, then one :class:`Result` or one :class:`Failure`. It ends when its standard input
is closed, so that it never outlives the operator that started it.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from cloudimage.addresses import ANYWHERE, Networks
from cloudimage.transfer.findings import LintResult
from cloudimage.transfer.step_result import StepResult
from cloudimage.vocabulary.image import DiskFormat, Visibility

SECRET_MARK: Final = "cloudimage_dev_secret"  # noqa: S105  # a property, not a password
"""UID of the Secret whose credentials made the image; it tells clusters apart that share a project.

No image needs it to be found by its CloudImage, so it is not one of the marks above.
"""


class Stage(StrEnum):
    """Where a transfer is, in the order of its work."""

    PENDING = "Pending"
    SNAPSHOTTING = "Snapshotting"
    FETCHING = "Fetching"
    VERIFYING = "Verifying"
    EXPANDING = "Expanding"
    INSPECTING = "Inspecting"
    CUSTOMIZING = "Customizing"
    CONVERTING = "Converting"
    UPLOADING = "Uploading"
    COMPLETE = "Complete"


class Reason(StrEnum):
    """Why a transfer failed; the reasons become reasons of conditions, so they are for users."""

    INVALID_REQUEST = "InvalidRequest"
    SOURCE_UNREACHABLE = "SourceUnreachable"
    SOURCE_NOT_FOUND = "SourceNotFound"
    SOURCE_AMBIGUOUS = "SourceAmbiguous"
    SOURCE_REFUSED = "SourceRefused"
    SOURCE_BUSY = "SourceBusy"
    SNAPSHOT_FAILED = "SnapshotFailed"
    SOURCE_NOT_AN_IMAGE = "SourceNotAnImage"
    SOURCE_TRUNCATED = "SourceTruncated"
    SUMS_FILE_INVALID = "SumsFileInvalid"
    CHECKSUM_MISMATCH = "ChecksumMismatch"
    SOURCE_CHANGED = "SourceChanged"
    SIGNATURE_INVALID = "SignatureInvalid"
    METHOD_UNAVAILABLE = "MethodUnavailable"
    UNSAFE_IMAGE = "UnsafeImage"
    UNSUPPORTED_FORMAT = "UnsupportedFormat"
    IMAGE_TOO_LARGE = "ImageTooLarge"
    INSUFFICIENT_SCRATCH = "InsufficientScratch"
    CUSTOMIZE_FAILED = "CustomizeFailed"
    CUSTOMIZE_NETWORK_FAILED = "CustomizeNetworkFailed"
    CUSTOMIZE_UNAVAILABLE = "CustomizeUnavailable"
    CONVERSION_FAILED = "ConversionFailed"
    LINT_FAILED = "LintFailed"
    INVALID_CREDENTIALS = "InvalidCredentials"
    CLOUD_UNREACHABLE = "CloudUnreachable"
    CLOUD_REFUSED = "CloudRefused"
    CLOUD_MISCONFIGURED = "CloudMisconfigured"
    CLOUD_ERROR = "CloudError"
    FORBIDDEN = "Forbidden"
    INVALID_IMAGE = "InvalidImage"
    QUOTA_EXCEEDED = "QuotaExceeded"
    UPLOAD_FAILED = "UploadFailed"
    UPLOAD_MISMATCH = "UploadMismatch"
    INTERRUPTED = "Interrupted"
    JOB_NOT_STARTED = "JobNotStarted"
    INTERNAL_ERROR = "InternalError"


class TransferError(Exception):
    """A failure of a transfer that its user can understand.

    Attributes:
        reason: What went wrong.
        message: A sentence that says what was found and what to do.
        retry_after: Seconds that a server asked us to wait, if it did.
        customize: What came of the steps, where one of them failed.
    """

    customize: tuple[StepResult, ...] = ()

    def __init__(self, reason: Reason, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.retry_after = retry_after


class Model(BaseModel):
    """A part of the contract: it cannot be changed, and has no other members."""

    model_config = ConfigDict(extra="forbid", frozen=True)


ChecksumAlgorithm = Literal["md5", "sha1", "sha256", "sha512", "blake2b"]


class Checksum(Model):
    """What the fetched bytes must hash to; ``value`` is lower-case hexadecimal."""

    algorithm: ChecksumAlgorithm
    value: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return what a text such as ``sha256:0b1c...`` says.

        Raises:
            pydantic.ValidationError: It says none.
        """
        algorithm, _, value = text.partition(":")
        return cls.model_validate({"algorithm": algorithm, "value": value})

    def __str__(self) -> str:
        """Return it as :meth:`parse` takes it."""
        return f"{self.algorithm}:{self.value}"


TEXT: Final = "text"
"""The key of what is one text, whatever key it has in its Secret or ConfigMap."""

Texts = Mapping[str, Mapping[str, str]]
"""What Secrets and ConfigMaps say, by the name of the reference and by their keys."""


def text_of(texts: Texts, name: str) -> str:
    """Return what a reference to one text leads to.

    Raises:
        TransferError: ``InvalidCredentials``: it is not there.
    """
    try:
        return texts[name][TEXT]
    except KeyError as error:
        raise TransferError(
            Reason.INVALID_CREDENTIALS, f"{name}/{TEXT} cannot be read: No such file"
        ) from error


class Source(Model):
    """Where the bytes of an image are; each kind of source adds what it takes to get at them.

    Attributes:
        format: The disk format the user declares; None: decided from the content alone. A raw
            image that shows neither a partition table nor a file system must be declared.
        checksum: What the fetched file must hash to.
    """

    format: DiskFormat | None = None
    checksum: Checksum | None = None

    def with_texts(self, texts: Texts) -> Self:  # noqa: ARG002 - for those that need some
        """Return the source with what Secrets and ConfigMaps say; it may hold secrets then."""
        return self

    def without_texts(self) -> Self:
        """Return the source without them."""
        return self

    def volume_claim(self) -> str | None:
        """Return the PersistentVolumeClaim that must be mounted where the transfer runs, if any."""
        return None

    def mounted_at(self, folder: Path) -> Self:  # noqa: ARG002 - for those that need a volume
        """Return the source as it is read where its volume is mounted."""
        return self


class UrlPolicy(Model):
    """Which URLs are fetched at all: by default those of the public internet alone.

    It is also checked on every redirect.

    Attributes:
        schemes: Allowed schemes.
        allow_networks: CIDRs of addresses that are allowed although they are private, loopback,
            link-local or otherwise not of the public internet. Checked on the address that is
            really connected to.
        deny_networks: CIDRs that are refused whatever else allows them, for instance the cluster's.
    """

    schemes: tuple[str, ...] = ("http", "https")
    allow_networks: Networks = ()
    deny_networks: Networks = ()


UNRESTRICTED = UrlPolicy(allow_networks=ANYWHERE)
"""Any address: for a transfer by hand, on the user's own machine."""


Method = Literal["Auto", "Upload", "GlanceDirect", "WebDownload"]
"""How the bytes go into Glance: through us (PUT), staged by us and converted by Glance's import,
or fetched by Glance itself; Auto is the cheapest that keeps every promise of the request."""


class Import(Model):
    """How the bytes go into Glance.

    Attributes:
        stores: Where they are to be; empty: Glance's default store.
    """

    method: Method = "Auto"
    stores: tuple[str, ...] = ()


class NewImage(Model):
    """The Glance image to make, as the body of ``POST /v2/images`` without id and visibility.

    It is made private and hidden; showing it is for the caller, after the transfer.

    Attributes:
        id_seed: The image's id is the UUID of this text and an attempt's number, so Glance itself
            refuses a second image for the same attempt.
        lot: Which of several orders of ids is tried; None: any.
        disk_format: The wanted format, converted to if need be; None keeps the source's.
        min_disk: GiB. An image whose virtual size is larger is refused.
        min_ram: MiB.
        compress: Compress the clusters of a qcow2 that is converted to.
        properties: Free-form properties, with the marks of the owner.
        visibility: What it is to have after the transfer; asked for beforehand.
        owner: Id of the project that it is to belong to then, likewise.
    """

    id_seed: str
    lot: int | None = None
    name: str
    disk_format: DiskFormat | None = None
    container_format: str = "bare"
    min_disk: int | None = None
    min_ram: int | None = None
    compress: bool = False
    tags: tuple[str, ...] = ()
    properties: dict[str, str] = Field(default_factory=dict)
    visibility: Visibility | None = None
    owner: str | None = None


class Cloud(Model):
    """How to reach the cloud; it holds secrets, hence no repr.

    Attributes:
        config: An entry of clouds.yaml, as :mod:`cloudimage.access.entry` allows it.
        ca_certificate: PEM text that the cloud's TLS is verified with.
        login: The state of a login by these credentials, as :mod:`cloudimage.access.logins` has it.
    """

    config: dict[str, Any] = Field(repr=False)
    ca_certificate: str | None = Field(default=None, repr=False)
    login: str | None = Field(default=None, repr=False)


class Limits(Model):
    """What a transfer may use.

    Attributes:
        max_virtual_size: Bytes; a larger image is refused.
        max_download: Bytes; a longer body is cut off and refused.
        max_expanded: Bytes that a compressed source or an archive may expand to.
        max_scratch: Bytes that all that is kept in the scratch may take.
        stall_seconds: Seconds without a byte from the source after which a connection is given up.
        min_rate: Bytes per second; a connection that gives less over ``stall_seconds`` is given up.
        min_average_rate: Bytes per second; a download that has given less, on average since its
            beginning, is given up once ten times ``stall_seconds`` were waited for it. So one of
            ``size`` bytes takes that time, or ``size / min_average_rate`` seconds, at the most.
        silence_seconds: Seconds without a progress from Glance, while it stores or imports, after
            which the image is given up. Glance itself calls an import dead after an hour.
        memory: Bytes of memory of the transfer itself (RLIMIT_DATA: heap and stacks of threads).
        tool_memory: Bytes of address space of an external tool such as qemu-img.
        tool_cpu_seconds: CPU seconds of an external tool.
        inspect_seconds: Seconds that external tools may take to inspect an image: they read its
            tables, and of its data no more than the beginning.
    """

    max_virtual_size: int = 1 * 2**40
    max_download: int = 1 * 2**40
    max_expanded: int = 1 * 2**40
    max_scratch: int = 1 * 2**40
    stall_seconds: float = 60.0
    min_rate: int = 1024
    min_average_rate: int = 256 * 2**10
    silence_seconds: float = 3600.0
    memory: int = 512 * 2**20
    tool_memory: int = 2 * 2**30
    tool_cpu_seconds: int = 4 * 3600
    inspect_seconds: float = 900.0


class Progress(Model):
    """How far a transfer is; sizes in bytes, rate in bytes per second."""

    type: Literal["progress"] = "progress"
    stage: Stage
    transferred: int = 0
    total: int | None = None
    rate: float = 0.0


class SourceInfo(Model):
    """What the source turned out to be; sizes in bytes, hashes of the fetched file.

    Attributes:
        size: Of the fetched file; None: Glance fetched and converted it, and says nothing of it.
        actual_size: Of the image file, expanded; None as above.
        virtual_size: Of the disk it describes.
        verified_by: Algorithm of the checksum that the file matched; None: none was known.
        version: What the store of the source calls the bytes, such as a digest; None: nothing.
        modified: When its server says the file was last changed; None: it does not say.
    """

    format: DiskFormat
    size: int | None
    actual_size: int | None
    virtual_size: int
    checksums: dict[str, str]
    verified_by: ChecksumAlgorithm | None = None
    version: str | None = None
    modified: datetime | None = None


class Result(Model):
    """The image is in Glance, and Glance's hash of it equals ours; sizes in bytes.

    By the method ``Snapshot`` no byte went through us: the hash is Glance's own, and empty where
    its store made a copy without one.

    Attributes:
        warnings: Sentences for the user: what succeeded, but not as well as it could.
        left_out: Sentences for the user: what of the source file is not in the image.
        lint: What a look into the image found; None: none was wanted.
    """

    type: Literal["result"] = "result"
    image_id: str
    disk_format: DiskFormat
    size: int
    virtual_size: int
    hash_algo: str
    hash_value: str
    source: SourceInfo
    method: Literal["Upload", "GlanceDirect", "WebDownload", "Snapshot"] = "Upload"
    method_reason: str = ""
    warnings: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    lint: LintResult | None = None
    customize: tuple[StepResult, ...] = ()


class Latest(Model):
    """What a source means at present; the answer to a look.

    Attributes:
        version: What its store or publisher calls it, failing that the checksum.
        checksum: What its bytes must hash to, if that is known beforehand.
        location: Where they are, where the request does not say it.
        values: What is known of them, by the names of the templates' variables.
    """

    type: Literal["latest"] = "latest"
    version: str
    checksum: Checksum | None = None
    location: str | None = None
    values: dict[str, str] = Field(default_factory=dict)


class Failure(Model):
    """The transfer failed, and nothing of it is left in Glance or in the scratch.

    Attributes:
        lint: What the image was refused for, if that was what is in it.
    """

    type: Literal["failure"] = "failure"
    reason: Reason
    message: str
    stage: Stage
    retry_after: float | None = None
    lint: LintResult | None = None
    customize: tuple[StepResult, ...] = ()


Event = Annotated[Progress | Result | Latest | Failure, Field(discriminator="type")]

EVENTS: TypeAdapter[Progress | Result | Latest | Failure] = TypeAdapter(Event)
"""Parses a line of a transfer's output."""
