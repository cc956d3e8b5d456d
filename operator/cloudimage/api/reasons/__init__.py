"""The types of conditions and their reasons, with what each means to the user.

The reference in docs/ is made from the docstrings of the modules beside this one: one for each
subject. Here they are one vocabulary.
"""

import ast
import inspect
import itertools
import textwrap
from enum import StrEnum
from typing import Final

from cloudimage.api.reasons.boot import BootReason
from cloudimage.api.reasons.cloud import CloudReason
from cloudimage.api.reasons.conditions import ConditionType, ShareCondition
from cloudimage.api.reasons.follow import FollowReason
from cloudimage.api.reasons.image import ImageReason
from cloudimage.api.reasons.shares import ShareReason
from cloudimage.api.reasons.transfer import TransferReason

__all__ = [
    "ABSENT_REASONS",
    "BOOT_VERDICTS",
    "CREDENTIALS_REASONS",
    "TERMINAL_IF_PROVEN",
    "TERMINAL_REASONS",
    "ConditionType",
    "Reason",
    "ShareCondition",
    "ShareReason",
    "member_docs",
]


class Reason(StrEnum):
    """Why a condition has its status."""

    AVAILABLE = ImageReason.AVAILABLE
    REPLACEMENT_PENDING = ImageReason.REPLACEMENT_PENDING
    DEACTIVATED = ImageReason.DEACTIVATED
    PROGRESSING = ImageReason.PROGRESSING
    AWAITING_UPLOAD = ImageReason.AWAITING_UPLOAD
    PENDING = ImageReason.PENDING
    DELETING = ImageReason.DELETING
    CHECKSUM_MATCHED = ImageReason.CHECKSUM_MATCHED
    SOURCE_CHANGED = ImageReason.SOURCE_CHANGED
    NO_CHECKSUM = ImageReason.NO_CHECKSUM
    HASH_MATCHED = ImageReason.HASH_MATCHED
    IN_SYNC = ImageReason.IN_SYNC
    DRIFTED = ImageReason.DRIFTED
    DRIFT_CORRECTED = ImageReason.DRIFT_CORRECTED
    IMAGE_DELETED = ImageReason.IMAGE_DELETED
    PROPERTIES_KNOWN = ImageReason.PROPERTIES_KNOWN
    INVALID_PROPERTIES = ImageReason.INVALID_PROPERTIES
    UNIQUE = ImageReason.UNIQUE
    NAME_NOT_UNIQUE = ImageReason.NAME_NOT_UNIQUE
    TEMPLATE_NOT_FILLED = ImageReason.TEMPLATE_NOT_FILLED
    PROVENANCE_TOLD = ImageReason.PROVENANCE_TOLD
    PROVENANCE_INCOMPLETE = ImageReason.PROVENANCE_INCOMPLETE
    CONFIG_MAP_WRITTEN = ImageReason.CONFIG_MAP_WRITTEN
    CONFIG_MAP_CONFLICT = ImageReason.CONFIG_MAP_CONFLICT
    CONFIG_MAP_FORBIDDEN = ImageReason.CONFIG_MAP_FORBIDDEN
    CONFIG_MAP_REFUSED = ImageReason.CONFIG_MAP_REFUSED
    REFERENCE_NOT_READY = ImageReason.REFERENCE_NOT_READY

    ASKED = FollowReason.ASKED
    UP_TO_DATE = FollowReason.UP_TO_DATE
    UPDATING = FollowReason.UPDATING
    UPDATE_REPORTED = FollowReason.UPDATE_REPORTED
    UPDATE_HELD = FollowReason.UPDATE_HELD
    UPDATE_FAILED = FollowReason.UPDATE_FAILED
    SOURCE_WENT_BACK = FollowReason.SOURCE_WENT_BACK
    SUSPENDED = FollowReason.SUSPENDED
    INVALID_SCHEDULE = FollowReason.INVALID_SCHEDULE
    NOT_FOLLOWABLE = FollowReason.NOT_FOLLOWABLE

    BOOT_TEST_PASSED = BootReason.BOOT_TEST_PASSED
    NO_VALID_HOST = BootReason.NO_VALID_HOST
    BUILD_FAILED = BootReason.BUILD_FAILED
    NO_CONSOLE = BootReason.NO_CONSOLE
    TIMEOUT = BootReason.TIMEOUT
    NO_ADDRESS = BootReason.NO_ADDRESS
    KEY_NOT_INJECTED = BootReason.KEY_NOT_INJECTED
    CONSOLE_MISMATCH = BootReason.CONSOLE_MISMATCH
    SSH_FAILED = BootReason.SSH_FAILED
    SSH_UNREACHABLE = BootReason.SSH_UNREACHABLE

    REVISION_FAILED = ImageReason.REVISION_FAILED
    ADOPTED = ImageReason.ADOPTED
    ADOPTION_REFUSED = ImageReason.ADOPTION_REFUSED
    OBSERVED = ImageReason.OBSERVED
    IMAGE_NOT_FOUND = ImageReason.IMAGE_NOT_FOUND
    AMBIGUOUS = ImageReason.AMBIGUOUS

    SECRET_NOT_FOUND = CloudReason.SECRET_NOT_FOUND
    SECRET_NOT_FOR_HOST = CloudReason.SECRET_NOT_FOR_HOST
    CONFIG_MAP_NOT_FOUND = CloudReason.CONFIG_MAP_NOT_FOUND
    INVALID_CLOUDS_YAML = CloudReason.INVALID_CLOUDS_YAML
    CLOUD_NOT_FOUND = CloudReason.CLOUD_NOT_FOUND
    CLOUD_MISCONFIGURED = CloudReason.CLOUD_MISCONFIGURED
    INVALID_CREDENTIALS = CloudReason.INVALID_CREDENTIALS
    CLOUD_REFUSED = CloudReason.CLOUD_REFUSED
    CLOUD_UNREACHABLE = CloudReason.CLOUD_UNREACHABLE
    CLOUD_ERROR = CloudReason.CLOUD_ERROR
    CONFLICT = CloudReason.CONFLICT
    NOT_FOUND = CloudReason.NOT_FOUND
    FORBIDDEN = CloudReason.FORBIDDEN
    INVALID_IMAGE = CloudReason.INVALID_IMAGE
    QUOTA_EXCEEDED = CloudReason.QUOTA_EXCEEDED

    SOURCE_UNREACHABLE = TransferReason.SOURCE_UNREACHABLE
    SOURCE_NOT_FOUND = TransferReason.SOURCE_NOT_FOUND
    SOURCE_AMBIGUOUS = TransferReason.SOURCE_AMBIGUOUS
    SOURCE_BUSY = TransferReason.SOURCE_BUSY
    SNAPSHOT_FAILED = TransferReason.SNAPSHOT_FAILED
    SNAPSHOT_TAKEN = TransferReason.SNAPSHOT_TAKEN
    SOURCE_REFUSED = TransferReason.SOURCE_REFUSED
    SOURCE_NOT_AN_IMAGE = TransferReason.SOURCE_NOT_AN_IMAGE
    SOURCE_TRUNCATED = TransferReason.SOURCE_TRUNCATED
    CHECKSUM_MISMATCH = TransferReason.CHECKSUM_MISMATCH
    SUMS_FILE_INVALID = TransferReason.SUMS_FILE_INVALID
    SIGNATURE_INVALID = TransferReason.SIGNATURE_INVALID
    SIGNATURE_MATCHED = TransferReason.SIGNATURE_MATCHED
    METHOD_UNAVAILABLE = TransferReason.METHOD_UNAVAILABLE
    WEAK_CHECKSUM = TransferReason.WEAK_CHECKSUM
    SOURCE_PARTLY_USED = TransferReason.SOURCE_PARTLY_USED
    UNSAFE_IMAGE = TransferReason.UNSAFE_IMAGE
    UNSUPPORTED_FORMAT = TransferReason.UNSUPPORTED_FORMAT
    IMAGE_TOO_LARGE = TransferReason.IMAGE_TOO_LARGE
    INSUFFICIENT_SCRATCH = TransferReason.INSUFFICIENT_SCRATCH
    CUSTOMIZED = TransferReason.CUSTOMIZED
    CUSTOMIZE_FAILED = TransferReason.CUSTOMIZE_FAILED
    CUSTOMIZE_NETWORK_FAILED = TransferReason.CUSTOMIZE_NETWORK_FAILED
    CUSTOMIZE_UNAVAILABLE = TransferReason.CUSTOMIZE_UNAVAILABLE
    CONVERSION_FAILED = TransferReason.CONVERSION_FAILED
    CLEAN = TransferReason.CLEAN
    FINDINGS_FOUND = TransferReason.FINDINGS_FOUND
    NOT_LOOKED_INTO = TransferReason.NOT_LOOKED_INTO
    FILE_SYSTEM_UNKNOWN = TransferReason.FILE_SYSTEM_UNKNOWN
    LINT_FAILED = TransferReason.LINT_FAILED
    UPLOAD_FAILED = TransferReason.UPLOAD_FAILED
    UPLOAD_MISMATCH = TransferReason.UPLOAD_MISMATCH
    INVALID_REQUEST = TransferReason.INVALID_REQUEST
    INTERRUPTED = TransferReason.INTERRUPTED
    JOB_NOT_STARTED = TransferReason.JOB_NOT_STARTED
    INTERNAL_ERROR = TransferReason.INTERNAL_ERROR

    FLAVOR_NOT_FOUND = BootReason.FLAVOR_NOT_FOUND
    FLAVOR_TOO_SMALL = BootReason.FLAVOR_TOO_SMALL
    NETWORK_NOT_FOUND = BootReason.NETWORK_NOT_FOUND
    NETWORK_AMBIGUOUS = BootReason.NETWORK_AMBIGUOUS
    SERVER_REFUSED = BootReason.SERVER_REFUSED

    IN_USE = ImageReason.IN_USE
    USAGE_UNKNOWN = ImageReason.USAGE_UNKNOWN
    SHARED = ImageReason.SHARED
    PROTECTED = ImageReason.PROTECTED


_PARTS: Final[tuple[type[StrEnum], ...]] = (
    ImageReason,
    FollowReason,
    BootReason,
    CloudReason,
    TransferReason,
)
"""What :class:`Reason` is made of."""

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

    Raises:
        ValueError: A member has no docstring, or a part of Reason has one that Reason lacks.
    """
    if vocabulary is not Reason:
        return _docs_below(vocabulary)
    docs = {value: text for part in _PARTS for value, text in _docs_below(part).items()}
    if lost := docs.keys() ^ set(Reason):
        raise ValueError(f"only in Reason, or only in a part of it: {sorted(lost)}")
    return {reason.value: docs[reason] for reason in Reason}


def _docs_below(vocabulary: type[StrEnum]) -> dict[str, str]:
    """Return the docstring below each member; Python drops those, so the source is read."""
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
