"""How images in registries are named, as Docker, containerd and Kubernetes read it."""

import re

import pytest

from cloudimage.vocabulary.oci import IMAGE, architecture, parse

SHA = "sha256:" + "0a" * 32


@pytest.mark.parametrize(
    ("image", "whole", "origin"),
    [
        ("debian", "docker.io/library/debian:latest", "https://registry-1.docker.io"),
        ("debian:12", "docker.io/library/debian:12", "https://registry-1.docker.io"),
        ("kubevirt/cirros", "docker.io/kubevirt/cirros:latest", "https://registry-1.docker.io"),
        ("index.docker.io/a/b", "docker.io/a/b:latest", "https://registry-1.docker.io"),
        ("registry-1.docker.io/b", "docker.io/library/b:latest", "https://registry-1.docker.io"),
        ("quay.io/a/b/c:1.2-x_y", "quay.io/a/b/c:1.2-x_y", "https://quay.io"),
        ("Quay.io/a/b", "quay.io/a/b:latest", "https://quay.io"),
        ("registry:5000/a", "registry:5000/a:latest", "https://registry:5000"),
        (f"quay.io/a/b@{SHA}", f"quay.io/a/b@{SHA}", "https://quay.io"),
        (f"quay.io/a/b:1@{SHA}", f"quay.io/a/b:1@{SHA}", "https://quay.io"),
        ("http://registry.lab/a:1", "registry.lab/a:1", "http://registry.lab"),
        ("http://registry/a:1", "registry/a:1", "http://registry"),
        ("https://127.0.0.1:5000/a", "127.0.0.1:5000/a:latest", "https://127.0.0.1:5000"),
        ("[fd00::1]:5000/a", "[fd00::1]:5000/a:latest", "https://[fd00::1]:5000"),
        # Loopback alone is asked by HTTP without more.
        ("localhost/a", "localhost/a:latest", "http://localhost"),
        ("localhost:5000/a", "localhost:5000/a:latest", "http://localhost:5000"),
        ("127.0.0.1:5000/a", "127.0.0.1:5000/a:latest", "http://127.0.0.1:5000"),
        ("[::1]:5000/a", "[::1]:5000/a:latest", "http://[::1]:5000"),
        ("127.0.0.1.nip.io/a", "127.0.0.1.nip.io/a:latest", "https://127.0.0.1.nip.io"),
        (
            "localhost.example.org/a",
            "localhost.example.org/a:latest",
            "https://localhost.example.org",
        ),
    ],
)
def test_a_name_is_read_as_a_pods_is(image: str, whole: str, origin: str) -> None:
    name = parse(image)
    assert (str(name), name.origin(certified=False)) == (whole, origin)


def test_loopback_with_a_certificate_is_asked_by_tls() -> None:
    assert parse("127.0.0.1:5000/a").origin(certified=True) == "https://127.0.0.1:5000"


def test_a_digest_comes_before_a_tag() -> None:
    assert parse("quay.io/a:1", SHA).reference == SHA
    assert parse(f"quay.io/a:1@{SHA}").reference == SHA
    assert parse("quay.io/a:1").reference == "1"


@pytest.mark.parametrize(
    "image",
    [
        *("", "/a", "a/", "a//b", "A/b/C", "a:", "a:-x", "a b", "a\n", "quay.io/a:" + "x" * 129),
        *("a@sha256:00", f"a@{SHA.upper()}", "a@md5:" + "0" * 32, "ftp://quay.io/a", "http://a"),
        *("docker://quay.io/a", "user:pw@quay.io/a", "quay.io/../a", "quay.io/a?b", "quay.io:x/a"),
    ],
)
def test_what_is_no_name(image: str) -> None:
    assert re.fullmatch(IMAGE, image) is None or image == "http://a"
    if image != "http://a":
        with pytest.raises(ValueError, match="no name"):
            parse(image)


def test_glances_architectures_are_ocis() -> None:
    given = ("x86_64", "aarch64", "amd64", "ppc64le", "armv7l", "s390x")
    assert list(map(architecture, given)) == [
        *("amd64", "arm64", "amd64", "ppc64le", "arm/v7", "s390x")
    ]
