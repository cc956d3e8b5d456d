"""Hostile clouds: each try ends soon, in little memory, and reports no inner server's text."""

import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Self

import psutil
import pytest

from cloudimage.access import session, transport
from cloudimage.access.answers import check_depth
from cloudimage.access.errors import AnswerRefusedError
from cloudimage.access.policy import OPEN
from cloudimage.access.transport import MAX_ANSWER
from cloudimage.cloud.boot_servers import BootServers
from cloudimage.cloud.config import CloudConfig
from cloudimage.cloud.connection import open_cloud
from cloudimage.cloud.errors import CloudError, CloudUnreachableError
from cloudimage.transfer.contract import Cloud, Limits, Source, TransferError, UrlPolicy
from cloudimage.transfer.glance import wait
from cloudimage.transfer.glance.client import Glance
from cloudimage.transfer.progress import Meter
from cloudimage.transfer.scratch import Cache
from cloudimage.transfer.source.base import Context
from cloudimage.transfer.source.glance import download
from cloudimage.transfer.source.glance.model import GlanceSource
from cloudimage.transfer.source.registry import open_source
from cloudimage.transfer.source.swift.model import SwiftSource
from cloudimage.transfer.tools.toolbox import Toolbox
from support.hostile_cloud import BYTES, GLANCE, LOGIN, SECRET, SLOW, HostileCloud

CALL = 2.0
AT_MOST = 30.0
"""Seconds: a few calls on a machine that has other work; without bounds it would be for ever."""
MEMORY = 48 * 2**20


@pytest.fixture(scope="module")
def cloud() -> Iterator[HostileCloud]:
    with HostileCloud() as hostile:
        yield hostile


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (session, transport):
        monkeypatch.setattr(module, "CALL_SECONDS", CALL)


class Peak:
    """The most memory that the process has more than at the beginning, as its system sees it."""

    def __enter__(self) -> Self:
        self._process = psutil.Process()
        self._before = self._process.memory_info().rss
        self.bytes = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.01):
            self.bytes = max(self.bytes, self._process.memory_info().rss - self._before)


def look(cloud: HostileCloud, mode: str) -> CloudError:
    """Log in and list images, as the operator does; return how it failed."""
    began = time.monotonic()
    with (
        Peak() as peak,
        pytest.raises(CloudError) as caught,
        open_cloud(CloudConfig(cloud.options(mode))) as opened,
    ):
        opened.glance.find("name", "value")
    assert time.monotonic() - began < AT_MOST
    assert peak.bytes < MEMORY
    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("mode", LOGIN)
def test_a_keystone_that_does_harm(cloud: HostileCloud, mode: str) -> None:
    look(cloud, mode)


@pytest.mark.parametrize("mode", SLOW)
def test_an_answer_that_drips_is_cut_off(cloud: HostileCloud, mode: str) -> None:
    error = look(cloud, mode)
    assert isinstance(error, CloudUnreachableError)
    assert "timed out" in str(error)


@pytest.mark.parametrize("mode", GLANCE)
def test_a_glance_that_does_harm(cloud: HostileCloud, mode: str) -> None:
    before = len(cloud.log)
    error = look(cloud, mode)
    asked = cloud.log[before:]
    assert len(asked) < 210, "pages are counted"
    assert not [path for _, path, _ in asked if "secret" in path], "no redirect was followed"
    if mode == "retry":
        assert error.retry_after == 86400


NOVA = ["moved", "moved-file", "moved-ever", "inner-text", "inner-json", "inner-ok", "inner-none"]
"""Harm that any service can do."""

ASK: dict[str, Callable[[BootServers], object]] = {
    "find": lambda servers: servers.find("uid"),
    "volumes": lambda servers: servers.volumes_of_tests("image"),
    "read": lambda servers: servers.read("../../secret"),
    "console": lambda servers: servers.console("id", 10),
    "keys": lambda servers: servers.delete_keys("uid"),
    "delete": lambda servers: servers.delete("id"),
}


@pytest.mark.parametrize("mode", NOVA)
def test_a_nova_that_does_harm(cloud: HostileCloud, mode: str) -> None:
    before = len(cloud.log)
    with open_cloud(CloudConfig(cloud.options(mode))) as opened:
        for ask in ASK.values():
            with Peak() as peak, pytest.raises(CloudError) as caught:
                ask(opened.boot_servers)
            assert peak.bytes < MEMORY
            assert SECRET not in str(caught.value)
            assert "\n" not in str(caught.value)
    paths = [path for _, path, _ in cloud.log[before:]]
    assert not [path for path in paths if "secret/" in path], "no redirect was followed"
    assert not [path for path in paths if "../" in path]


@pytest.mark.parametrize("mode", [*LOGIN, *SLOW, *GLANCE])
def test_a_transfer_is_bounded_in_the_same_way(
    cloud: HostileCloud, tmp_path: Path, mode: str
) -> None:
    began = time.monotonic()
    glance = Glance(Cloud(config=cloud.options(mode)), tmp_path)
    with Peak() as peak, pytest.raises(TransferError) as caught:
        glance.show("5109c637-4792-5aee-bd5a-2d73a01c0b03")
    assert time.monotonic() - began < AT_MOST
    assert peak.bytes < MEMORY
    assert SECRET not in caught.value.message


IMAGE = GlanceSource(id="5109c637-4792-5aee-bd5a-2d73a01c0b03")
OBJECT = SwiftSource(container="disks", object="disk.raw")


def bring(own: Cloud, folder: Path, source: Source = IMAGE) -> None:
    """Put the bytes of a source in a cloud into a folder, as a transfer does."""
    limits = Limits(stall_seconds=0.5)
    cache = Cache(folder, limits, shared=False)
    meter, tools = Meter(lambda _: None), Toolbox(folder, 1, 1)
    context = Context(folder, cache, limits, UrlPolicy(), meter, tools, own, OPEN)
    with open_source(source, context) as reader:
        reader.expect()
        reader.fetch(folder / "source")


@pytest.mark.parametrize("mode", [*LOGIN, *SLOW, *GLANCE, *BYTES])
def test_a_source_is_bounded_in_the_same_way(
    cloud: HostileCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """At most as many bytes are read as its Glance announces."""
    monkeypatch.setattr(download, "FRUITLESS", 1)
    began, before = time.monotonic(), len(cloud.log)
    with Peak() as peak, pytest.raises(TransferError) as caught:
        bring(Cloud(config=cloud.options(mode)), tmp_path)
    assert time.monotonic() - began < AT_MOST
    assert peak.bytes < MEMORY
    assert SECRET not in caught.value.message
    assert not [path for _, path, _ in cloud.log[before:] if "secret" in path]
    assert all(path.stat().st_size <= 1 << 20 for path in tmp_path.iterdir())


@pytest.mark.parametrize("mode", [*LOGIN, *SLOW])
def test_a_login_for_an_object_is_bounded_in_the_same_way(
    cloud: HostileCloud, tmp_path: Path, mode: str
) -> None:
    began, before = time.monotonic(), len(cloud.log)
    with Peak() as peak, pytest.raises(TransferError) as caught:
        bring(Cloud(config=cloud.options(mode)), tmp_path, OBJECT)
    assert time.monotonic() - began < AT_MOST
    assert peak.bytes < MEMORY
    assert SECRET not in caught.value.message
    assert not [path for _, path, _ in cloud.log[before:] if "secret" in path]


def test_the_token_goes_to_no_other_server_and_nothing_compressed_is_wanted(
    cloud: HostileCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login operator password own\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    before = len(cloud.log)
    look(cloud, "moved")
    for _, _, headers in cloud.log[before:]:
        assert "authorization" not in headers
        assert headers["accept-encoding"] == "identity"
        assert headers["accept"] == "application/json"


def test_a_glance_with_endless_signs_of_life_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wait, "MAX_SECONDS", 0.1)
    monkeypatch.setattr(wait, "_POLL_SECONDS", 0.01)

    class Lively:
        def show(self, _: str) -> dict[str, object]:
            return {"status": "saving", "updated_at": time.monotonic_ns()}

    with pytest.raises(TransferError, match="saving after"):
        wait.wait_until_stored(Lively(), "id", 60.0)  # type: ignore[arg-type]  # what it asks for


def test_the_depth_of_an_answer_is_counted_in_linear_time() -> None:
    fine = [b'{"a": "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["}', b'["\\\\", "\\"[["]' * 20]
    for body in fine:
        check_depth(body)
    tracemalloc.start()
    pieces = (b'"\\"', b'"a', b'"",', b"\\")
    for body in (piece * (MAX_ANSWER // len(piece)) + b"[" * 40 for piece in pieces):
        began = time.monotonic()
        with suppress(AnswerRefusedError):
            check_depth(body)
        assert time.monotonic() - began < 5
    assert tracemalloc.get_traced_memory()[1] < 64 * 2**20
    tracemalloc.stop()
