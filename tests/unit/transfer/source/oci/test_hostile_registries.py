"""Registries that lie, loop, redirect, or want to be given what is not theirs."""

import hashlib
import json
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cloudimage.transfer.contract import Limits, Reason, TransferError, UrlPolicy
from cloudimage.transfer.progress import Meter
from cloudimage.transfer.scratch import Cache
from cloudimage.transfer.source.base import Context
from cloudimage.transfer.source.oci.model import OciSource
from cloudimage.transfer.source.oci.reader import OciReader, open_oci
from cloudimage.transfer.tools.toolbox import Toolbox
from support.hostile_server import Hostile, Script, answer, redirect

LOOPBACK = UrlPolicy(allow_networks=("127.0.0.1/32",))
LIMITS = Limits(stall_seconds=0.5, max_download=10_000_000)
DISK = b"QFI\xfb" + bytes(100_000) + b"end"
TITLE = "org.opencontainers.image.title"
AUTH = {"username": "puller", "password": "sesame"}
GIVEN = b"Authorization: Basic cHVsbGVyOnNlc2FtZQ=="
IMAGE_CONFIG = "application/vnd.oci.image.config.v1+json"


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def entry(content: bytes, **more: Any) -> dict[str, Any]:
    return {"mediaType": "x", "digest": digest(content), "size": len(content), **more}


def manifest(*blobs: bytes, config: str = "application/vnd.acme.disk") -> bytes:
    body = {
        "schemaVersion": 2,
        "config": entry(b"{}", mediaType=config),
        "layers": [entry(each) for each in blobs],
    }
    return json.dumps(body).encode()


def index(*entries: dict[str, Any]) -> bytes:
    return json.dumps({"schemaVersion": 2, "manifests": entries}).encode()


@dataclass
class Shelf:
    """What a registry answers, by what is asked for: a digest or a tag.

    Attributes:
        otherwise: What else is answered.
    """

    scripts: dict[str, Script] = field(default_factory=dict)
    otherwise: Script = field(default_factory=lambda: answer(b"", status="404 Not Found"))

    def put(self, *contents: bytes) -> "Shelf":
        """Have contents by their digests."""
        self.scripts |= {digest(each): answer(each) for each in contents}
        return self

    def tag(self, content: bytes) -> "Shelf":
        """Have what the tag stands for."""
        self.scripts["1"] = answer(content)
        return self.put(content)

    def __call__(self, connection: socket.socket, head: bytes) -> None:
        """Answer."""
        wanted = head.split()[1].decode().partition("?")[0].rpartition("/")[2]
        self.scripts.get(wanted, self.otherwise)(connection, head)


@contextmanager
def reading(
    server: Hostile, folder: Path, policy: UrlPolicy = LOOPBACK, **more: Any
) -> Iterator[OciReader]:
    folder.mkdir(exist_ok=True)
    source = OciSource(**{"image": f"127.0.0.1:{server.port}/a/b:1", **more})
    tools = Toolbox(folder, LIMITS.tool_memory, LIMITS.tool_cpu_seconds)
    cache = Cache(folder / "cache", LIMITS, shared=True)
    context = Context(folder, cache, LIMITS, policy, Meter(lambda _: None), tools)
    with open_oci(source, context) as reader:
        yield reader


def fetched(server: Hostile, folder: Path, policy: UrlPolicy = LOOPBACK, **more: Any) -> bytes:
    with reading(server, folder, policy, **more) as reader:
        reader.expect()
        reader.fetch(folder / "source")
    return (folder / "source").read_bytes()


def refused(
    server: Hostile, folder: Path, reason: Reason, policy: UrlPolicy = LOOPBACK, **more: Any
) -> str:
    with pytest.raises(TransferError) as caught:
        fetched(server, folder, policy, **more)
    assert caught.value.reason is reason, caught.value.message
    assert "sesame" not in caught.value.message
    assert not (folder / "source").exists()
    return caught.value.message


def config(server: Hostile, **login: str) -> str:
    return json.dumps({"auths": {f"127.0.0.1:{server.port}": login or AUTH}})


def test_an_honest_one_gives_the_disk(tmp_path: Path) -> None:
    with Hostile(Shelf().tag(manifest(DISK)).put(DISK)) as server:
        assert fetched(server, tmp_path) == DISK


def test_a_manifest_of_another_digest(tmp_path: Path) -> None:
    wanted = digest(b"another")
    shelf = Shelf({wanted: answer(manifest(DISK))}).put(DISK)
    with Hostile(shelf) as server:
        said = refused(server, tmp_path, Reason.CHECKSUM_MISMATCH, digest=wanted)
    assert digest(manifest(DISK))[7:] in said


def test_a_manifest_of_an_index_with_another_digest(tmp_path: Path) -> None:
    right, wrong = manifest(DISK), manifest(b"other")
    shelf = Shelf({digest(right): answer(wrong)}).tag(index(entry(right)))
    with Hostile(shelf) as server:
        refused(server, tmp_path, Reason.CHECKSUM_MISMATCH)


def test_a_blob_of_another_digest(tmp_path: Path) -> None:
    shelf = Shelf({digest(DISK): answer(DISK[:-1] + b"x")}).tag(manifest(DISK))
    with Hostile(shelf) as server:
        refused(server, tmp_path, Reason.CHECKSUM_MISMATCH)


def test_a_layer_of_another_digest_is_not_looked_into(tmp_path: Path) -> None:
    shelf = Shelf({digest(DISK): answer(DISK[:-1] + b"x")})
    with Hostile(shelf.tag(manifest(DISK, config=IMAGE_CONFIG))) as server:
        refused(server, tmp_path, Reason.CHECKSUM_MISMATCH)


def endless(connection: socket.socket, _: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        connection.sendall(b" " * 65536)


def dripping(connection: socket.socket, _: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n{")
    connection.settimeout(5)
    connection.recv(1)


def test_a_manifest_without_an_end(tmp_path: Path) -> None:
    with Hostile(Shelf({"1": endless})) as server:
        assert "over 4194304 bytes" in refused(server, tmp_path, Reason.SOURCE_REFUSED)


def test_a_manifest_that_does_not_come(tmp_path: Path) -> None:
    with Hostile(Shelf({"1": dripping})) as server:
        assert "no data for" in refused(server, tmp_path, Reason.SOURCE_UNREACHABLE)


def test_an_index_that_leads_to_itself(tmp_path: Path) -> None:
    """By its digest it cannot; and who says so has another one there."""
    loop = index({"mediaType": "x", "digest": f"sha256:{'0' * 64}", "size": 9})
    with Hostile(Shelf({f"sha256:{'0' * 64}": answer(loop)}).tag(loop)) as server:
        refused(server, tmp_path, Reason.CHECKSUM_MISMATCH)


def test_indexes_in_indexes(tmp_path: Path) -> None:
    shelf, inner = Shelf().put(DISK), manifest(DISK)
    for depth in range(1, 6):
        shelf.put(inner)
        inner = index(entry(inner))
        with Hostile(shelf.tag(inner)) as server:
            if depth < 4:
                assert fetched(server, tmp_path / str(depth)) == DISK
            else:
                said = refused(server, tmp_path / str(depth), Reason.SOURCE_NOT_AN_IMAGE)
                assert "index of indexes" in said


def test_sizes_are_compared_before_anything_is_fetched(tmp_path: Path) -> None:
    huge = {"layers": [{"mediaType": "x", "digest": digest(b""), "size": 2**40}]}
    with Hostile(Shelf().tag(json.dumps(huge).encode())) as server:
        refused(server, tmp_path, Reason.IMAGE_TOO_LARGE)
        assert len(server.requests) == 1


def test_urls_of_a_descriptor_are_not_followed(tmp_path: Path) -> None:
    """Docker's foreign layers; credentials were lost to them (CVE-2020-15157)."""
    with Hostile(answer(DISK)) as elsewhere:
        body = json.loads(manifest(DISK))
        body["layers"][0]["urls"] = [elsewhere.url()]
        with Hostile(Shelf().tag(json.dumps(body).encode())) as server:
            refused(server, tmp_path, Reason.SOURCE_NOT_FOUND)
        assert elsewhere.requests == []


@pytest.mark.parametrize("where", ["manifest", "blob", "token"])
def test_no_redirect_or_realm_leads_to_a_forbidden_network(tmp_path: Path, where: str) -> None:
    with Hostile(answer(b"{}")) as inside:
        place = inside.url(host="127.0.0.2")
        shelf = Shelf().tag(manifest(DISK)).put(DISK)
        if where == "token":
            challenge = f'WWW-Authenticate: Bearer realm="{place}"'
            shelf.scripts["1"] = answer(b"", challenge, status="401 Unauthorized")
        else:
            shelf.scripts[digest(DISK) if where == "blob" else "1"] = redirect(place)
        with Hostile(shelf) as server:
            said = refused(server, tmp_path, Reason.SOURCE_REFUSED)
        assert "127.0.0.2" in said
        assert "urlPolicy" in said
        assert inside.requests == []


def test_a_scheme_that_the_policy_refuses(tmp_path: Path) -> None:
    only = UrlPolicy(schemes=("https",), allow_networks=("127.0.0.1/32",))
    with Hostile(Shelf()) as server:
        assert "schemes" in refused(server, tmp_path, Reason.SOURCE_REFUSED, only)
        assert server.requests == []


def locked(inner: Script, challenge: str) -> Script:
    """Return a script that asks for something of who shows nothing."""

    def script(connection: socket.socket, head: bytes) -> None:
        if b"Authorization: " in head:
            inner(connection, head)
        else:
            asked = answer(b"", f"WWW-Authenticate: {challenge}", status="401 Unauthorized")
            asked(connection, head)

    return script


@pytest.mark.parametrize("where", ["manifest", "blob"])
def test_credentials_stay_behind_at_a_redirect_even_if_they_are_asked_for(
    tmp_path: Path, where: str
) -> None:
    content = {"manifest": manifest(DISK), "blob": DISK}[where]
    with Hostile(locked(answer(content), 'Basic realm="store"')) as store:
        shelf = Shelf().tag(manifest(DISK)).put(DISK)
        shelf.scripts[digest(DISK) if where == "blob" else "1"] = redirect(store.url())
        with Hostile(locked(shelf, 'Basic realm="registry"')) as server:
            refused(server, tmp_path, Reason.SOURCE_REFUSED, docker_config=config(server))
            assert GIVEN in server.requests[-1]
        assert store.requests
        assert all(b"authorization" not in head.lower() for head in store.requests)


def test_a_store_that_asks_for_nothing_gives_the_blob(tmp_path: Path) -> None:
    with Hostile(answer(DISK)) as store:
        shelf = Shelf({digest(DISK): redirect(store.url("/x?signature=sesame"))})
        with Hostile(locked(shelf.tag(manifest(DISK)), "Basic")) as server:
            assert fetched(server, tmp_path, docker_config=config(server)) == DISK
        assert b"uthorization" not in store.requests[0]


def test_nothing_is_shown_before_it_is_asked_for(tmp_path: Path) -> None:
    with Hostile(Shelf().tag(manifest(DISK)).put(DISK)) as server:
        fetched(server, tmp_path, docker_config=config(server))
        assert all(b"uthorization" not in head for head in server.requests)


def test_a_password_that_is_refused_is_not_shown_again_and_again(tmp_path: Path) -> None:
    refusal = answer(b"", 'WWW-Authenticate: Basic realm="x"', status="401 Unauthorized")
    with Hostile(refusal) as server:
        said = refused(server, tmp_path, Reason.SOURCE_REFUSED, docker_config=config(server))
        assert "may not pull" in said
        assert len(server.requests) == 2


TOKENS: dict[str, tuple[Script, Reason, str]] = {
    "none": (answer(b"{}"), Reason.SOURCE_REFUSED, "gave no token"),
    "a header in it": (answer(b'{"token": "x\\r\\nHost: y"}'), Reason.SOURCE_REFUSED, "no token"),
    "endless": (endless, Reason.SOURCE_REFUSED, "over 262144 bytes"),
    "dripping": (dripping, Reason.SOURCE_UNREACHABLE, "no data for"),
    "a redirect for ever": (redirect("/token"), Reason.SOURCE_REFUSED, "redirects more than"),
    "refused": (answer(b"", status="403 Forbidden"), Reason.SOURCE_REFUSED, "gives no token"),
    "busy": (answer(b"", status="503 Later"), Reason.SOURCE_UNREACHABLE, "answered 503"),
}


@pytest.mark.parametrize("name", TOKENS)
def test_servers_of_tokens_that_give_none(tmp_path: Path, name: str) -> None:
    script, reason, words = TOKENS[name]
    with Hostile(script) as realm:
        challenge = f'WWW-Authenticate: Bearer realm="{realm.url("/token")}",service="x"'
        with Hostile(answer(b"", challenge, status="401 Unauthorized")) as server:
            said = refused(server, tmp_path, reason, docker_config=config(server))
    assert words in said


def test_a_token_goes_to_the_registry_and_the_password_to_its_realm_alone(tmp_path: Path) -> None:
    with Hostile(answer(b'{"token": "good"}')) as realm:
        challenge = f'Bearer realm="{realm.url("/token")}",service="x",scope="repository:a/b:pull"'
        shelf = Shelf().tag(manifest(DISK)).put(DISK)
        with Hostile(locked(shelf, challenge)) as server:
            assert fetched(server, tmp_path, docker_config=config(server)) == DISK
            shown = [re.search(rb"Authorization: ([^\r]*)", head) for head in server.requests]
        assert [each and each[1] for each in shown] == [None, b"Bearer good", b"Bearer good"]
        [asked] = realm.requests
        assert GIVEN in asked
        assert b"GET /token?service=x&scope=repository%3Aa%2Fb%3Apull " in asked


def test_a_refresh_token_is_sent_in_a_form_and_not_to_where_that_redirects(tmp_path: Path) -> None:
    with Hostile(answer(b'{"token": "good"}')) as thief, Hostile(redirect(thief.url())) as realm:
        with Hostile(locked(Shelf(), f'Bearer realm="{realm.url("/token")}"')) as server:
            login = config(server, identitytoken="sesame")
            refused(server, tmp_path, Reason.SOURCE_REFUSED, docker_config=login)
        assert realm.requests[0].startswith(b"POST /token ")
        assert thief.requests == []


def test_what_a_registry_says_is_made_plain(tmp_path: Path) -> None:
    problems = [{"code": "DENIED", "message": "no\x1b[31m\nway " + "x" * 1000}, {"code": "<b>"}]
    body = json.dumps({"errors": problems}).encode()
    with Hostile(answer(body, status="403 Forbidden")) as server:
        said = refused(server, tmp_path, Reason.SOURCE_REFUSED)
    assert "DENIED: no" in said
    assert "\x1b" not in said
    assert "<b>" not in said
    assert len(said) < 600


def test_who_has_other_credentials_shares_no_kept_file(tmp_path: Path) -> None:
    shelf = locked(Shelf().tag(manifest(DISK)).put(DISK), "Basic")
    with Hostile(shelf) as server:
        for login in (AUTH, AUTH, {"username": "other", "password": "sesame"}):
            (tmp_path / "source").unlink(missing_ok=True)
            fetched(server, tmp_path, docker_config=config(server, **login))
        blobs = [head for head in server.requests if b"/blobs/" in head]
        assert len(blobs) == 2


def test_without_tls_no_password_is_sent_unless_its_key_says_http(tmp_path: Path) -> None:
    """Who may write a CloudImage may not be who may see the Secret."""
    with Hostile(answer(b"", "WWW-Authenticate: Basic", status="401 No")) as server:
        place = f"127.1:{server.port}"  # a name like any other, but for the resolver
        for key in (place, f"https://{place}", f"http://{place}"):
            server.requests.clear()
            login = json.dumps({"auths": {key: AUTH}})
            source = {"image": f"http://{place}/a/b:1", "docker_config": login}
            said = refused(server, tmp_path, Reason.SOURCE_REFUSED, **source)
            assert any(GIVEN in head for head in server.requests) is key.startswith("http://")
            assert ("begins with http://" in said) is not key.startswith("http://")
