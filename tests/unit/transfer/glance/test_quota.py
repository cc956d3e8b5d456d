"""What is over the quota, and what is told to the user about it."""

from collections.abc import Mapping

import pytest

from cloudimage.transfer.contract import Reason, TransferError
from cloudimage.transfer.glance.quota import Quota, Usage, check_quota
from support.transfer_images import MIB


def refusal(usage: Mapping[str, Usage], needed: Mapping[Quota, int]) -> str:
    with pytest.raises(TransferError) as caught:
        check_quota(usage, needed)
    assert caught.value.reason is Reason.QUOTA_EXCEEDED
    return caught.value.message


@pytest.mark.parametrize(
    ("used", "limit", "size"),
    [
        (0, 5, 5 * MIB),
        (3, 5, 2 * MIB),
        (3, 5, 3 * MIB - 1),  # as Glance rounds
        (5, 5, MIB - 1),
        (7, -1, 2**50),
        (0, 0, 0),
    ],
)
def test_what_fits(used: int, limit: int, size: int) -> None:
    check_quota({Quota.STORED: Usage(used, limit)}, {Quota.STORED: size})


def mib(number: int) -> str:
    return f"{number}.0 MiB" if number else "0 bytes"


@pytest.mark.parametrize(
    ("used", "limit", "size", "missing"),
    [(0, 5, 6 * MIB, 1), (3, 5, 3 * MIB, 1), (5, 5, 16 * MIB, 16), (7, 5, 1, 2), (0, 0, MIB, 1)],
)
def test_what_does_not(used: int, limit: int, size: int, missing: int) -> None:
    message = refusal({Quota.STORED: Usage(used, limit)}, {Quota.STORED: size})
    assert (
        f"it takes {mib(size // MIB)} of image_size_total, of which {mib(used)} of {mib(limit)} "
        f"are used, {mib(missing)} are missing"
    ) in message
    assert message.endswith("or ask the cloud's administrators to raise the limit")


def test_what_glance_does_not_limit() -> None:
    check_quota({}, {Quota.STORED: 2**50})
    check_quota({Quota.STAGED: Usage(9, 5)}, {Quota.STORED: 2**50})


def test_all_that_is_missing_is_told() -> None:
    usage = {Quota.STAGED: Usage(1, 2), Quota.STORED: Usage(3, 4)}
    message = refusal(usage, {Quota.STAGED: 2 * MIB, Quota.STORED: 4 * MIB})
    assert "2.0 MiB of image_stage_total" in message
    assert "4.0 MiB of image_size_total" in message
