"""Of which servers Nova makes the snapshot that is wanted."""

from typing import Any

import pytest

from cloudimage.transfer.contract import Reason, TransferError
from cloudimage.transfer.source.server import rules
from cloudimage.transfer.source.server.model import ServerSource
from cloudimage.transfer.source.snapshot.services import Server

AGENT = {"hw_qemu_guest_agent": "yes"}
BOTH = AGENT | {"os_require_quiesce": "True"}


def server(**told: Any) -> Server:
    return Server.model_validate({"id": "s", "status": "ACTIVE", **told})


@pytest.mark.parametrize("status", ["ACTIVE", "SHUTOFF", "PAUSED", "SUSPENDED"])
def test_nova_takes_what_runs_and_what_is_off(status: str) -> None:
    rules.check(server(status=status))


@pytest.mark.parametrize("status", ["ERROR", "BUILD", "SHELVED_OFFLOADED", "DELETED", "RESCUE", ""])
def test_nova_takes_no_other(status: str) -> None:
    with pytest.raises(TransferError) as caught:
        rules.check(server(status=status))
    assert caught.value.reason is Reason.SOURCE_REFUSED


def test_one_with_a_task_in_progress_is_busy() -> None:
    with pytest.raises(TransferError, match="image_uploading") as caught:
        rules.check(server(**{"OS-EXT-STS:task_state": "image_uploading"}))
    assert caught.value.reason is Reason.SOURCE_BUSY


@pytest.mark.parametrize(
    ("quiesce", "properties", "refused"),
    [
        ("Required", BOTH, False),
        ("Required", AGENT, True),
        ("Required", {"os_require_quiesce": "yes"}, True),
        ("Required", {}, True),
        ("Required", None, True),
        ("Never", {}, False),
        ("Never", {"hw_qemu_guest_agent": "no"}, False),
        ("Never", AGENT, True),
        ("Never", None, True),
    ],
)
def test_what_nova_does_is_decided_by_the_servers_image(
    quiesce: Any, properties: dict[str, str] | None, *, refused: bool
) -> None:
    source = ServerSource(id="s", quiesce=quiesce)
    if not refused:
        rules.check_quiesce(source, server(), properties)
        return
    with pytest.raises(TransferError, match="stopFirst"):
        rules.check_quiesce(source, server(), properties)


@pytest.mark.parametrize(
    ("source", "status", "matters"),
    [
        ({"quiesce": "Required"}, "ACTIVE", True),
        ({"quiesce": "Required"}, "SHUTOFF", False),
        ({"quiesce": "Required", "stop_first": True}, "ACTIVE", False),
        ({}, "ACTIVE", False),
    ],
)
def test_one_that_is_off_needs_no_quiescing(
    source: dict[str, Any], status: str, *, matters: bool
) -> None:
    assert rules.must_know_image(ServerSource(id="s", **source), server(status=status)) is matters
