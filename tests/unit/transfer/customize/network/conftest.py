"""The network of a guest, for tests of what it reaches."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.fetching import LOOPBACK
from support.guest_network import GuestNetwork


@pytest.fixture(autouse=True)
def no_proxy_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def guest(tmp_path: Path) -> Iterator[GuestNetwork]:
    with GuestNetwork(tmp_path, LOOPBACK) as network:
        yield network
