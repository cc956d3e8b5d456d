"""Checks that Glance's quota leaves room for an image before its bytes are sent; pure.

Glance calls its limits on sizes soft (its administrators' guide, "Per-Tenant Quotas"): as streams
of unknown size are allowed, an older Glance lets a project go over its limit once and refuses only
what comes next. A newer one adds the size that a PUT announces (``glance/api/v2/image_data.py``
of 33.0.0), but no copies in more stores. Here the size is always known, and what is over the limit
is refused whatever the age of Glance: an image that shuts the project off from all further ones is
not what a quota is for. The rule is Glance's own: whole MiB, rounded down, and just reaching a
limit is fine. So what goes into one store and is refused here, a newer Glance would also refuse.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from cloudimage.sizes import size_text
from cloudimage.transfer.contract import Reason, TransferError

_MIB: Final = 2**20


class Quota(StrEnum):
    """Glance's limits that count bytes, by the names that Keystone knows them by."""

    STORED = "image_size_total"
    """All images of the project, each as often as there are stores that hold it."""
    STAGED = "image_stage_total"
    """What waits to be imported or to be copied to more stores."""


@dataclass(frozen=True)
class Usage:
    """What a project uses of one limit.

    Attributes:
        used: MiB, rounded down.
        limit: MiB; negative: there is no limit.
    """

    used: int
    limit: int


def check_quota(usage: Mapping[str, Usage], needed: Mapping[Quota, int]) -> None:
    """Refuse an image that is over what the quota leaves.

    Args:
        usage: By the limit's name; what is not there is not limited.
        needed: Bytes that the image takes of each limit.

    Raises:
        TransferError: ``QuotaExceeded``.
    """
    lacking = [
        _lacking(quota, usage[quota], size // _MIB)
        for quota, size in needed.items()
        if quota in usage and 0 <= usage[quota].limit < usage[quota].used + size // _MIB
    ]
    if lacking:
        raise TransferError(
            Reason.QUOTA_EXCEEDED,
            "Glance's quota leaves too little for the image, so it was not sent: "
            f"{'; '.join(lacking)}. Delete images of the project, or ask the cloud's "
            "administrators to raise the limit",
        )


def _lacking(quota: Quota, usage: Usage, size: int) -> str:
    missing = usage.used + size - usage.limit
    return (
        f"it takes {size_text(size * _MIB)} of {quota}, of which {size_text(usage.used * _MIB)} of "
        f"{size_text(usage.limit * _MIB)} are used, {size_text(missing * _MIB)} are missing"
    )
