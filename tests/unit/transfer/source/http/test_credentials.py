"""What another kind of source shows to its servers, for each request."""

import re
import socket
from pathlib import Path

import pytest
import requests

from cloudimage.transfer.contract import Limits, Reason, TransferError
from cloudimage.transfer.progress import Meter
from cloudimage.transfer.scratch import Cache
from cloudimage.transfer.source.hashes import Fetched
from cloudimage.transfer.source.http.client import Client
from cloudimage.transfer.source.http.fetch import fetch
from cloudimage.transfer.source.http.model import HttpSource
from support.fetching import CONTENT, LIMITS, LOOPBACK, RIGHT
from support.hostile_server import Hostile, Script, answer, redirect


class Tickets:
    """Credentials whose ticket is good for a while, until the server refuses it."""

    def __init__(self, identity: str = "me", *, renewable: bool = True) -> None:
        self.identity = identity
        self.number = 1
        self._renewable = renewable

    def show(self, request: requests.PreparedRequest) -> None:
        """Write on the ticket what it is for."""
        shown = request.headers.get("Range", "all")
        request.headers["Ticket"] = f"{self.number} for {request.url} {shown}"

    def renew(self, response: requests.Response) -> bool:
        """Take the next ticket."""
        if response.status_code != 401 or not self._renewable:
            return False
        self.number += 1
        return True

    def explain(self, response: requests.Response, body: bytes) -> TransferError | None:
        """Understand one sentence."""
        if b"no such thing" not in body:
            return None
        return TransferError(Reason.SOURCE_NOT_FOUND, f"{response.status_code} in its own words")


def transferred(
    source: HttpSource, credentials: Tickets, folder: Path, limits: Limits = LIMITS
) -> Fetched:
    (folder / "run").mkdir(exist_ok=True)
    cache = Cache(folder / "cache", limits, shared=True)
    target = folder / "run" / "source"
    target.unlink(missing_ok=True)
    with Client(source, LOOPBACK, limits, folder / "run", credentials) as client:
        return fetch(source, target, Meter(lambda _: None), client, cache)


def tickets(server: Hostile) -> list[str]:
    return [
        found[1].decode() if (found := re.search(rb"Ticket: ([^\r]*)", head)) else "none"
        for head in server.requests
    ]


def only_with(ticket: int, script: Script) -> Script:
    """Return a script that answers 401 to any other ticket."""

    def run(connection: socket.socket, head: bytes) -> None:
        good = f"Ticket: {ticket} ".encode() in head
        (script if good else answer(b"", status="401 Unauthorized"))(connection, head)

    return run


def test_are_shown_for_each_request_as_it_is_sent(tmp_path: Path) -> None:
    with Hostile(answer(CONTENT)) as server:
        transferred(HttpSource(url=server.url()), Tickets(), tmp_path)
        assert tickets(server) == [f"1 for {server.url()} all"]


def test_are_renewed_once_when_the_server_refuses_them(tmp_path: Path) -> None:
    with Hostile(only_with(2, answer(CONTENT))) as server:
        fetched = transferred(HttpSource(url=server.url()), Tickets(), tmp_path)
        assert [each[0] for each in tickets(server)] == ["1", "2"]
    assert fetched.checksums["sha256"] == RIGHT.value


def test_that_stay_refused_end_the_transfer(tmp_path: Path) -> None:
    with Hostile(only_with(7, answer(CONTENT))) as server:
        with pytest.raises(TransferError, match="answered 401") as caught:
            transferred(HttpSource(url=server.url()), Tickets(), tmp_path)
        assert [each[0] for each in tickets(server)] == ["1", "2"]
    assert caught.value.reason is Reason.SOURCE_REFUSED


def test_that_cannot_be_renewed_are_not_shown_again(tmp_path: Path) -> None:
    with Hostile(only_with(2, answer(CONTENT))) as server:
        with pytest.raises(TransferError, match="answered 401"):
            transferred(HttpSource(url=server.url()), Tickets(renewable=False), tmp_path)
        assert len(server.requests) == 1


def test_are_renewed_in_the_middle_of_a_file(tmp_path: Path) -> None:
    half = len(CONTENT) // 2

    def script(connection: socket.socket, head: bytes) -> None:
        if b"Range: " not in head:
            whole = answer(CONTENT[:half], 'ETag: "1"', length=len(CONTENT))
            return whole(connection, head)
        content_range = f"Content-Range: bytes {half}-{len(CONTENT) - 1}/{len(CONTENT)}"
        rest = answer(CONTENT[half:], 'ETag: "1"', content_range, status="206 Partial Content")
        return only_with(2, rest)(connection, head)

    with Hostile(script) as server:
        fetched = transferred(HttpSource(url=server.url()), Tickets(), tmp_path)
        shown = tickets(server)
    assert fetched.checksums["sha256"] == RIGHT.value
    assert [each.split()[0] for each in shown] == ["1", "1", "2"]
    assert shown[-1].endswith(f"bytes={half}-")


def test_stay_where_the_source_is(tmp_path: Path) -> None:
    with Hostile(answer(CONTENT)) as other, Hostile(redirect(other.url())) as server:
        transferred(HttpSource(url=server.url()), Tickets(), tmp_path)
        assert tickets(server) != ["none"]
        assert tickets(other) == ["none"]


def test_are_not_renewed_for_the_server_that_a_redirect_leads_to(tmp_path: Path) -> None:
    refusal = answer(b"no such thing", status="401 Unauthorized")
    with Hostile(refusal) as other, Hostile(redirect(other.url())) as server:
        with pytest.raises(TransferError, match="answered 401"):
            transferred(HttpSource(url=server.url()), Tickets(), tmp_path)
        assert (len(server.requests), len(other.requests)) == (1, 1)


def test_explain_what_the_server_says(tmp_path: Path) -> None:
    with (
        Hostile(answer(b"<Code>no such thing</Code>", status="403 Forbidden")) as server,
        pytest.raises(TransferError, match="403 in its own words") as caught,
    ):
        transferred(HttpSource(url=server.url()), Tickets(), tmp_path)
    assert caught.value.reason is Reason.SOURCE_NOT_FOUND


def test_explain_no_more_than_the_beginning_of_what_the_server_says(tmp_path: Path) -> None:
    late = answer(b" " * 2**20 + b"no such thing", status="403 Forbidden")
    with (
        Hostile(late) as server,
        pytest.raises(TransferError, match="answered 403"),
    ):
        transferred(HttpSource(url=server.url()), Tickets(), tmp_path)


def test_explain_what_came_of_an_answer_that_never_ends(tmp_path: Path) -> None:
    stuck = answer(b"no such thing", status="403 Forbidden", length=10**6)

    def script(connection: socket.socket, head: bytes) -> None:
        stuck(connection, head)
        connection.recv(1)  # until the client closes

    with (
        Hostile(script) as server,
        pytest.raises(TransferError, match="403 in its own words"),
    ):
        transferred(HttpSource(url=server.url()), Tickets(), tmp_path)


def test_of_another_share_no_cache(tmp_path: Path) -> None:
    with Hostile(answer(CONTENT, 'ETag: "1"')) as server:
        source = HttpSource(url=server.url(), checksum=RIGHT)
        for who in ("me", "me", "you"):
            transferred(source, Tickets(who), tmp_path)
        assert len(server.requests) == 2
