"""What a refusal of Nova means for a server that is to test an image; pure.

Nova answers with a status and a sentence. The status alone tells few of them apart, so the words
count too: those of the classes in ``nova/exception.py``, which ``create`` of
``nova/api/openstack/compute/servers.py`` answers with, and the limits of oslo.limit. Words that are
not known never become a reason of these: the sentence is quoted under a general one.
"""

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import requests

from cloudimage.access.failures import Failure, Kind
from cloudimage.cloud.errors import (
    CloudError,
    ConflictError,
    FlavorNotFoundError,
    FlavorTooSmallError,
    ForbiddenError,
    NetworkAmbiguousError,
    NetworkNotFoundError,
    NotFoundError,
    QuotaExceededError,
    ServerRefusedError,
    error_of,
)


@dataclass(frozen=True, slots=True)
class _Known:
    """Words by which a refusal is known.

    Attributes:
        statuses: With which it comes.
        words: A part of Nova's sentence.
        error: What it becomes.
        advice: What to do, where Nova's sentence does not say it.
    """

    statuses: frozenset[int]
    words: re.Pattern[str]
    error: type[CloudError]
    advice: str = ""


def _known(statuses: tuple[int, ...], words: str, error: type[CloudError], advice: str) -> _Known:
    return _Known(frozenset(statuses), re.compile(words), error, advice)


_ABSENT: Final = (400, 404)
_LARGER: Final = "choose a larger flavor"
_LARGER_DISK: Final = "choose a larger flavor, or boot from a volume that is large enough"
_NAME_ONE: Final = "name the networks to use"

_KNOWN: Final = (
    # FlavorMemoryTooSmall; FlavorDiskSmallerThanImage, FlavorDiskSmallerThanMinDisk
    _known((400,), r"^Flavor's memory is too small", FlavorTooSmallError, _LARGER),
    _known((400,), r"^Flavor's disk is (too small|smaller)", FlavorTooSmallError, _LARGER_DISK),
    # FlavorDiskTooSmall; VolumeSmallerThanMinDisk
    _known((400,), r"disk would be too small", FlavorTooSmallError, _LARGER_DISK),
    _known((400,), r"^Volume is smaller than", FlavorTooSmallError, "make the volume larger"),
    # BootFromVolumeRequiredForZeroDiskFlavor
    _known((403,), r"flavors with zero disk", FlavorTooSmallError, "boot from a volume"),
    _known(_ABSENT, r"^Flavor \S+ could not be found", FlavorNotFoundError, "choose another"),
    _known(_ABSENT, r"^Network \S+ could not be found", NetworkNotFoundError, "choose another"),
    # UnableToAutoAllocateNetwork
    _known((400,), r"^Unable to automatically allocate a network", NetworkNotFoundError, _NAME_ONE),
    # NetworkAmbiguous
    _known((400, 409), r"^More than one possible network", NetworkAmbiguousError, _NAME_ONE),
    _known((400, 409), r"^Multiple possible networks", NetworkAmbiguousError, _NAME_ONE),
    # TooManyInstances, KeypairLimitExceeded, ...; PortLimitExceeded; ProjectOverLimit
    _known((403,), r"^Quota exceeded", QuotaExceededError, ""),
    _known((403,), r"^Maximum number of .* exceed", QuotaExceededError, ""),
    _known((403,), r"^The number of defined ports.* is over the limit", QuotaExceededError, ""),
    _known((403,), r"is over a limit for", QuotaExceededError, ""),
    # ImageNotActive; ImageNotFound
    _known((400,), r"^Image \S+ is not active", ConflictError, ""),
    _known(_ABSENT, r"^Can not find requested image", NotFoundError, ""),
)

_NO_NETWORKS_BY_WORD: Final = (
    "this Nova is older than 14 (Newton) and does not know the networks 'auto' and 'none' "
    "(microversion 2.37)"
)
_ID: Final = re.compile(r"[^/]*[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}[^/]*")


def refusal(failure: Failure, doing: str, response: requests.Response) -> CloudError:
    """Return the exception for an answer of Nova or Neutron that is no success.

    Args:
        failure: What the answer says.
        doing: Begins the message: "making the test server".
        response: The answer, for the request that it is an answer to.
    """
    said = failure.sentence.rstrip(".")
    for each in _KNOWN:
        if failure.status in each.statuses and each.words.search(failure.sentence):
            advice = f"; {each.advice}" if each.advice else ""
            return each.error(f"{doing}: {said}{advice}")
    if failure.status == HTTPStatus.NOT_ACCEPTABLE:
        return ServerRefusedError(f"{doing}: {_NO_NETWORKS_BY_WORD}; {_NAME_ONE}")
    if failure.kind is Kind.INVALID_CREDENTIALS:
        # Not the credentials as such: Keystone gave a token for them a moment ago.
        return ForbiddenError(
            f"{doing}: the service does not accept the credentials, though Keystone does: if they "
            f"are an application credential, it needs an access rule for {_rule(response)}"
        )
    if failure.kind in _ITS_OWN:
        return error_of(failure, doing)
    return ServerRefusedError(f"{doing}: {said}")


_ITS_OWN: Final = frozenset(
    {
        Kind.UNAVAILABLE,
        Kind.FAULT,
        Kind.FORBIDDEN,
        Kind.CONFLICT,
        Kind.QUOTA_EXCEEDED,
        Kind.BODY_LIMIT,
        Kind.NOT_UNDERSTOOD,
    }
)
"""What the same exception says as in any other request."""


def _rule(response: requests.Response) -> str:
    """Return what an access rule would have to allow."""
    request: object = response.request
    method = getattr(request, "method", None) or "?"
    path = str(getattr(request, "path_url", "")).partition("?")[0]
    return f"{method} {_ID.sub('*', path)}"
