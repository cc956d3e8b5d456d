"""Which volumes count as users of an image."""

import pytest

from cloudimage.cloud.connection import without_tests
from cloudimage.cloud.models import Volume

TESTS = {"disk": "tested"}


@pytest.mark.parametrize(
    ("volume_id", "servers", "counts"),
    [
        ("disk", {"tested"}, False),
        ("disk", set(), False),  # on its way there, or away
        ("disk", {"tested", "web"}, True),  # a volume of a type that allows several
        ("disk", {"web"}, True),
        ("other", {"tested"}, True),  # somebody attached it to the test's server
        ("other", set(), True),
    ],
)
def test_only_the_disk_of_a_test_alone_does_not_count(
    volume_id: str, servers: set[str], counts: bool
) -> None:
    volume = Volume(volume_id, "", "p", frozenset(servers))
    assert without_tests((volume,), TESTS) == ((volume,) if counts else ())
    assert without_tests((volume,), {}) == (volume,)
