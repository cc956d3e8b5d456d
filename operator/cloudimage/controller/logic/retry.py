"""How long to pause after each kind of failure, and the annotation that asks for a retry."""

from dataclasses import dataclass
from typing import Final

from cloudimage.api.meta import Resource
from cloudimage.api.names import RETRY_ANNOTATION
from cloudimage.api.reasons import Reason, ShareReason
from cloudimage.plaintext import plain

_VALUE_LENGTH: Final = 253
"""The most that status.lastHandledRetry may have in the CRD; an annotation may be longer."""


@dataclass(frozen=True, slots=True)
class Pauses:
    """How long to wait, in seconds: ``first``, then doubled each time, ``last`` at most.

    Attributes:
        unchanged: Only the Secret is read then; the cloud is asked when it has changed, or after
            so long at most. None: the cloud is asked each time.
    """

    first: float
    last: float
    unchanged: float | None = None

    def after(self, count: int) -> float:
        """Return the pause after the ``count``-th failure in a row, without jitter."""
        return min(self.last, self.first * 2.0 ** min(count - 1, 20))


AWAY: Final = Pauses(5, 300)
"""A fault of the cloud, or of the operator itself, that is likely to be fixed soon."""
SOURCE: Final = Pauses(5, 600)
"""A publisher's server: it is not the user's own, so it is polled less often."""
WHOLE_FILE: Final = Pauses(5, 3600)
"""A publisher's server, of which each try may take a whole file."""
SERVER: Final = Pauses(60, 3600)
"""Each try makes a server, and a host may have room for it soon."""
PEOPLE: Final = Pauses(20, 1800)
"""A person must grant, free or fix something first, and the operator gets no notice of it."""
SECRET: Final = Pauses(10, 60)
"""Only the Secret is read, which costs its owner nothing."""
GLANCE: Final = Pauses(5, 60)
"""An image that is expected to appear; Glance is asked only for that image."""
ENTRY: Final = Pauses(10, 60, unchanged=1800)
"""As SECRET: what it leads to is not asked again and again (:mod:`cloudimage.cloud.pool`)."""
LOGIN: Final = Pauses(30, 300)
"""Keystone may lock a user out after several wrong passwords."""

_BY_REASON: Final[dict[str, Pauses]] = {
    Reason.SOURCE_UNREACHABLE: SOURCE,
    Reason.SOURCE_NOT_FOUND: SOURCE,
    Reason.SOURCE_TRUNCATED: SOURCE,
    Reason.CHECKSUM_MISMATCH: WHOLE_FILE,
    Reason.SOURCE_BUSY: SOURCE,
    Reason.SNAPSHOT_FAILED: WHOLE_FILE,
    Reason.SOURCE_NOT_AN_IMAGE: WHOLE_FILE,
    Reason.UNSAFE_IMAGE: WHOLE_FILE,
    Reason.UNSUPPORTED_FORMAT: WHOLE_FILE,
    Reason.IMAGE_TOO_LARGE: WHOLE_FILE,
    Reason.SUMS_FILE_INVALID: SOURCE,
    Reason.CUSTOMIZE_NETWORK_FAILED: WHOLE_FILE,
    Reason.CONVERSION_FAILED: SOURCE,
    Reason.NO_VALID_HOST: SERVER,
    Reason.BUILD_FAILED: SERVER,
    Reason.SSH_UNREACHABLE: SERVER,
    Reason.LINT_FAILED: SOURCE,
    Reason.FORBIDDEN: PEOPLE,
    Reason.USAGE_UNKNOWN: PEOPLE,
    Reason.QUOTA_EXCEEDED: PEOPLE,
    Reason.SOURCE_REFUSED: PEOPLE,
    Reason.SOURCE_AMBIGUOUS: PEOPLE,
    Reason.ADOPTION_REFUSED: PEOPLE,
    Reason.AMBIGUOUS: PEOPLE,
    Reason.REVISION_FAILED: PEOPLE,
    Reason.SOURCE_CHANGED: PEOPLE,
    ShareReason.VISIBILITY_CONFLICT: PEOPLE,
    ShareReason.PROJECT_NOT_FOUND: PEOPLE,
    ShareReason.NOT_OWNER: PEOPLE,
    ShareReason.MEMBER_QUOTA_EXCEEDED: PEOPLE,
    Reason.SIGNATURE_INVALID: PEOPLE,
    Reason.INSUFFICIENT_SCRATCH: PEOPLE,
    Reason.SECRET_NOT_FOUND: SECRET,
    Reason.SECRET_NOT_FOR_HOST: SECRET,
    Reason.CONFIG_MAP_NOT_FOUND: SECRET,
    Reason.INVALID_CLOUDS_YAML: SECRET,
    Reason.CLOUD_NOT_FOUND: SECRET,
    Reason.INVALID_CREDENTIALS: LOGIN,
    Reason.CLOUD_MISCONFIGURED: ENTRY,
    Reason.CLOUD_REFUSED: LOGIN,
    ShareReason.WRONG_PROJECT: SECRET,
    Reason.IMAGE_NOT_FOUND: GLANCE,
    Reason.AWAITING_UPLOAD: GLANCE,
}


def pauses(reason: str) -> Pauses:
    """Return the pauses between tries of what fails for that reason, unless it is terminal."""
    return _BY_REASON.get(reason, AWAY)


def outlook(wait: Pauses | None) -> str:
    """Return the sentence that says what happens next; it is the same on every retry.

    Args:
        wait: The pauses between tries; None if it is not retried automatically.
    """
    if wait is None:
        return (
            f"Not retried until the spec changes or the annotation {RETRY_ANNOTATION} gets a new "
            "value."
        )
    if wait.unchanged is not None:
        return (
            f"Retried within {_duration(wait.last)} of a change of the Secret, else with pauses of "
            f"up to {_duration(wait.unchanged)}, and at once when the annotation "
            f"{RETRY_ANNOTATION} gets a new value."
        )
    return (
        f"Retried with pauses of up to {_duration(wait.last)}, and at once when the annotation "
        f"{RETRY_ANNOTATION} gets a new value."
    )


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} seconds" if seconds <= 60 else f"{seconds / 60:.0f} minutes"  # noqa: PLR2004  # a minute


def asked(resource: Resource) -> str | None:
    """Return the value of the annotation that asks for a try and was not acted on yet.

    It works as Flux' ``reconcile.fluxcd.io/requestedAt`` does: each value counts once.
    """
    # Plain, as every text of a status is: the two are compared.
    value = plain(resource.metadata.annotations.get(RETRY_ANNOTATION, "")[:_VALUE_LENGTH])
    return value if value and value != resource.status.last_handled_retry else None
