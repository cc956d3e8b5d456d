"""Pull Secrets, what registries ask for, and where their credentials may go."""

import base64
import json

import pytest

from cloudimage.transfer.contract import Reason, TransferError
from cloudimage.transfer.source.oci import logins
from cloudimage.transfer.source.oci.logins import Challenge
from cloudimage.vocabulary.oci import parse

QUAY = parse("quay.io/team/disks/debian:12")


def config(**auths: object) -> str:
    return json.dumps({"auths": auths})


def basic(text: str) -> dict[str, str]:
    return {"auth": base64.b64encode(text.encode()).decode()}


def user(text: str, image: str) -> str | None:
    found = logins.login(text, parse(image))
    return found.username if found else None


@pytest.mark.parametrize(
    ("key", "image", "fits"),
    [
        ("quay.io", "quay.io/a", True),
        ("QUAY.io", "quay.io/a", True),
        ("https://quay.io", "quay.io/a", True),
        ("https://quay.io/v2/", "quay.io/a", True),
        ("quay.io/team", "quay.io/team/a", True),
        ("quay.io/team/a", "quay.io/team/a", True),
        ("quay.io/tea", "quay.io/team/a", False),
        ("quay.io/other", "quay.io/team/a", False),
        ("quay.io:443", "quay.io/a", False),
        ("registry:5000", "registry:5000/a", True),
        ("registry", "registry:5000/a", False),
        ("*.example.org", "r.example.org/a", True),
        ("*.example.org", "example.org/a", False),
        ("*.example.org", "a.b.example.org/a", False),
        ("*.org", "evil.example.org/a", False),
        ("example.org", "example.org.evil.net/a", False),
        ("https://index.docker.io/v1/", "debian", True),
        ("docker.io", "kubevirt/cirros", True),
        ("registry-1.docker.io", "docker.io/a/b", True),
        ("docker.io", "quay.io/docker.io/a", False),
    ],
)
def test_an_entry_is_for_a_registry_and_perhaps_a_path(key: str, image: str, fits: bool) -> None:
    assert (user(config(**{key: basic("u:p")}), image) == "u") is fits


def test_the_most_specific_entry_counts() -> None:
    keys = ("*.io", "quay.io", "quay.io/team", "quay.io/team/disks", "quay.io/team/disks/other")
    text = config(**{key: basic(f"{number}:p") for number, key in enumerate(keys)})
    assert user(text, str(QUAY)) == "3"
    assert user(text, "quay.io/team/x") == "2"
    assert user(text, "quay.io/x") == "1"
    assert user(text, "ghcr.io/x") == "0"


def test_without_tls_the_secret_must_say_that_it_is_meant() -> None:
    for key, fits in (("lab:5000", False), ("https://lab:5000", False), ("http://lab:5000", True)):
        text, name = config(**{key: basic("u:p")}), parse("http://lab:5000/a")
        assert (logins.login(text, name, readable=True) is not None) is fits
        assert logins.login(text, name) is not None


def test_all_forms_of_an_entry() -> None:
    def entry(**values: str) -> logins.Login | None:
        return logins.login(config(**{"quay.io": values}), QUAY)

    assert entry(**basic("u:p:q")) == logins.Login("u", "p:q")
    assert entry(**basic("ü:p\0\0")) == logins.Login("ü", "p")
    assert entry(username="u", password="p") == logins.Login("u", "p")
    assert entry(identitytoken="t", **basic("x:")) == logins.Login("x", "", "t")
    assert entry(registrytoken="t") == logins.Login(bearer="t")
    assert "sesame" not in repr(entry(username="sesame", password="sesame", identitytoken="sesame"))


@pytest.mark.parametrize(
    "text",
    [
        *("", "sesame", "[]", "{}", '{"auths": []}', '{"quay.io": {"auth": "c2VzYW1l"}}'),
        *(config(**{"quay.io": {"auth": "sesame"}}), config(**{"quay.io": basic("sesame")})),
        *(config(**{"quay.io": {"auth": "/w=="}}), config(**{"quay.io": "sesame"})),
        '{"auths":' * 5000,
    ],
)
def test_a_secret_that_cannot_be_read_is_not_quoted(text: str) -> None:
    with pytest.raises(TransferError) as caught:
        logins.login(text, QUAY)
    assert caught.value.reason is Reason.INVALID_CREDENTIALS
    assert "sesame" not in caught.value.message


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (
            'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="a:b"',
            (
                "bearer",
                {
                    "realm": "https://auth.docker.io/token",
                    "service": "registry.docker.io",
                    "scope": "a:b",
                },
            ),
        ),
        ('Basic realm="x"', ("basic", {"realm": "x"})),
        ("basic", ("basic", {})),
        (
            'BEARER Realm = "https://a/?b=c,d" , service=e',
            ("bearer", {"realm": "https://a/?b=c,d", "service": "e"}),
        ),
        ('Basic realm="x", Bearer realm="y"', ("bearer", {"realm": "y"})),
        ('Negotiate, Basic realm="Bearer realm=z"', ("basic", {"realm": "Bearer realm=z"})),
        (r'Basic realm="a \"b\""', ("basic", {"realm": 'a "b"'})),
        ("", None),
        ("Digest nonce=x", None),
        ('realm="https://evil"', None),
    ],
)
def test_of_the_ways_in_a_token_comes_first(
    header: str, found: tuple[str, dict[str, str]] | None
) -> None:
    assert logins.challenge(header) == (Challenge(*found) if found else None)


@pytest.mark.parametrize(
    ("origin", "realm"),
    [
        ("https://quay.io", "http://quay.io/token"),
        ("https://quay.io", "ftp://quay.io/token"),
        ("https://quay.io", "https://u:p@quay.io/token"),
        ("https://quay.io", "https:///token"),
        ("https://quay.io", "https://quay.io:x/token"),
        ("https://quay.io", "file:///etc/passwd"),
        ("https://quay.io", ""),
    ],
)
def test_a_realm_that_is_not_asked(origin: str, realm: str) -> None:
    with pytest.raises(TransferError) as caught:
        logins.realm(Challenge("bearer", {"realm": realm}), QUAY, origin)
    assert caught.value.reason is Reason.SOURCE_REFUSED


def test_what_a_realm_is_asked_for() -> None:
    def asked(**values: str) -> tuple[str, dict[str, str]]:
        return logins.realm(Challenge("bearer", values), QUAY, "https://quay.io")

    assert asked(realm="https://a/t?x=1#y", service="s") == (
        "https://a/t?x=1",
        {"service": "s", "scope": "repository:team/disks/debian:pull"},
    )
    assert asked(realm="https://a/t", scope="aws")[1] == {"scope": "aws"}
    assert logins.with_query("https://a/t?x=1", {"scope": "a b"}) == "https://a/t?x=1&scope=a+b"


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"token": ""}', b'{"token": "a\\r\\nb: c"}', b'{"token": "a b"}', b"\xff",
     json.dumps({"token": "x" * 70000}).encode()],
)  # fmt: skip
def test_what_is_no_token(body: bytes) -> None:
    with pytest.raises(TransferError, match="gave no token"):
        logins.token(body, "https://a/t")


def test_a_token_by_either_name() -> None:
    assert logins.token(b'{"token": "a", "expires_in": 60}', "") == "a"
    assert logins.token(b'{"access_token": "b"}', "") == "b"
