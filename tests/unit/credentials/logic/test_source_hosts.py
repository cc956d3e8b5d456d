"""Credentials of a source go only to the hosts that their Secret names."""

import pytest

from cloudimage.credentials.logic.source_hosts import complaint


@pytest.mark.parametrize(
    ("annotation", "url"),
    [
        ("images.example.org", "https://images.example.org/disk.qcow2"),
        ("Images.Example.org", "https://IMAGES.example.ORG/"),
        ("images.example.org", "https://images.example.org./"),
        ("a, images.example.org", "https://images.example.org/"),
        ("a\nimages.example.org b", "https://images.example.org/"),
        ("*.example.org", "https://images.example.org/"),
        ("*.example.org", "https://a.b.example.org/"),
        ("images.example.org:8443", "https://images.example.org:8443/"),
        ("images.example.org:443", "https://images.example.org/"),
        ("images.example.org:80", "http://images.example.org/"),
        ("images.example.org", "http://images.example.org:8080/"),
        ("192.0.2.7", "http://192.0.2.7/"),
        ("[2001:db8::1]", "http://[2001:db8::1]:8080/"),
        ("[2001:db8::1]:8080", "http://[2001:db8::1]:8080/"),
        ("*", "http://anywhere.example/"),
        ("images.example.org", "https://user:word@images.example.org/"),
    ],
)
def test_host_that_it_is_for(annotation: str, url: str) -> None:
    assert complaint("registry", annotation, [url], demanded=True) is None


@pytest.mark.parametrize(
    ("annotation", "url"),
    [
        ("images.example.org", "https://evil.example/"),
        ("images.example.org", "https://images.example.org.evil.example/"),
        ("images.example.org", "https://evil-images.example.org/"),
        ("images.example.org", "https://images.example.org@evil.example/"),
        ("images.example.org", "https://evil.example/images.example.org"),
        ("*.example.org", "https://example.org/"),
        ("*.example.org", "https://evilexample.org/"),
        ("*.example.org", "https://.example.org/"),
        ("images.example.org:8443", "https://images.example.org/"),
        ("images.example.org", "https://images%2eexample.org/"),
        ("fass.example", "https://fa\u00df.example/"),
        ("images.example.org", "https://images\u3002example\u3002org/"),
        ("images.example.org", "https://[::1"),
        ("", "https://images.example.org/"),
        (" , ", "https://images.example.org/"),
    ],
)
def test_host_that_it_is_not_for(annotation: str, url: str) -> None:
    for demanded in (False, True):
        said = complaint("registry", annotation, [url], demanded=demanded)
        assert said is not None
        assert "registry is not for" in said
        assert "cloudimage.dev/hosts does not list" in said


def test_each_mirror_must_be_one_of_them() -> None:
    urls = ["https://images.example.org/", "https://evil.example/", "https://evil.example/2"]
    said = complaint("registry", "images.example.org", urls, demanded=False)
    assert said is not None
    assert said.startswith("Secret registry is not for evil.example, ")


def test_without_the_annotation_it_is_for_any_host_unless_it_is_demanded() -> None:
    urls = ["https://images.example.org/"]
    assert complaint("registry", None, urls, demanded=False) is None
    said = complaint("registry", None, urls, demanded=True)
    assert said is not None
    assert "has no annotation cloudimage.dev/hosts" in said


@pytest.mark.parametrize(
    "annotation",
    ["https://images.example.org", "a/b", "a*.org", "*.*.org", "a:b", "a:999999", "user@a", "a..b"],
)
def test_what_is_no_host_is_told(annotation: str) -> None:
    said = complaint("registry", f"ok.example {annotation}", ["https://a/"], demanded=False)
    assert said is not None
    assert f"has {annotation!r}, which is no host" in said


def test_long_annotation() -> None:
    said = complaint("registry", "a" * 10000, ["https://a/"], demanded=False)
    assert said is not None
    assert said.endswith("is too long")
