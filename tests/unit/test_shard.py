"""Every namespace is in one shard, the same one for every operator and release."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudimage.shard import WHOLE, Shard

NAMES = {"default": 4, "cloudimage-system": 3, "team-a": 1, "team-b": 2, "images": 0}
"""Which of five shards has them."""


@given(namespace=st.from_regex(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True))
@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_each_namespace_is_in_one_shard(namespace: str, count: int) -> None:
    owners = [index for index in range(count) if Shard(index, count).owns(namespace)]
    assert len(owners) == 1


def test_one_operator_has_all() -> None:
    assert all(WHOLE.owns(f"team-{number}") for number in range(100))


def test_it_is_the_same_for_ever() -> None:
    """Another hash in another release would have two operators act on one object in an update."""
    found = {name: next(i for i in range(5) if Shard(i, 5).owns(name)) for name in NAMES}
    assert found == NAMES
