"""Indexes of folders as web servers write them, and releases of Git hosts."""

import json

import pytest

from cloudimage.transfer.contract import Reason, TransferError
from cloudimage.transfer.source.http.index.listings import Listed, index_of, releases_of

URL = "https://cloud.example.org/images/9/"

APACHE = """<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 3.2 Final//EN">
<html><head><title>Index of /images/9</title></head><body><h1>Index of /images/9</h1>
<pre><img src="/icons/blank.gif" alt="Icon "> <a href="?C=N;O=D">Name</a>
<a href="?C=M;O=A">Last modified</a>
<hr><img src="/icons/back.gif" alt="[PARENTDIR]"> <a href="/images/">Parent Directory</a>
<img src="/icons/folder.gif" alt="[DIR]"> <a href="20240701/">20240701/</a>   2024-07-01 03:12    -
<img src="/icons/unknown.gif" alt="[   ]">
<a href="disk-9-20240701.0.x86_64.qcow2">disk-9-2024..&gt;</a>  1.1G
</pre></body></html>"""
NGINX = """<html>\r
<head><title>Index of /images/9/</title></head>\r
<body>\r
<h1>Index of /images/9/</h1><hr><pre><a href="../">../</a>\r
<a href="20240701/">20240701/</a>                 01-Jul-2024 03:12       -\r
<a href="disk-9-20240701.0.x86_64.qcow2">disk-9-20240701.0.x86_64.qcow2</a>   1181116006\r
</pre><hr></body>\r
</html>"""
LIGHTTPD = """<!DOCTYPE html><html><body><h2>Index of /images/9/</h2><div class="list">
<table><tbody><tr class="d"><td class="n"><a href="../">..</a>/</td></tr>
<tr class="d"><td class="n"><a href="20240701/">20240701</a>/</td></tr>
<tr><td class="n">
<a href="disk-9-20240701.0.x86_64.qcow2">disk-9-20240701.0.x86_64.qcow2</a></td></tr>
</tbody></table></div></body></html>"""
CADDY = """<!DOCTYPE html><html><body><h1><a href="/">/</a><a href="../">images</a>/</h1>
<tr class="file"><td><a href="./20240701/"><span>20240701/</span></a></td></tr>
<tr class="file"><td><a href="./disk-9-20240701.0.x86_64.qcow2"><span>disk</span></a></td></tr>
</body></html>"""
ABSOLUTE = """<ul><li><a href=/images/9/20240701/ >20240701</a>
<li><A HREF='https://cloud.example.org/images/9/disk-9-20240701.0.x86_64.qcow2'>disk</A>
<li><a href="https://elsewhere.example/images/9/other.qcow2">elsewhere</a>
<li><a name=top>top</a><a href="#top">top</a><a href="mailto:x@example.org">mail</a></ul>"""


@pytest.mark.parametrize(
    "page",
    [APACHE, NGINX, LIGHTTPD, CADDY, ABSOLUTE],
    ids=["Apache", "nginx", "lighttpd", "Caddy", "absolute links"],
)
def test_what_is_directly_in_the_folder_is_listed(page: str) -> None:
    assert index_of(page.encode(), URL) == (
        Listed("20240701", f"{URL}20240701/", folder=True),
        Listed("disk-9-20240701.0.x86_64.qcow2", f"{URL}disk-9-20240701.0.x86_64.qcow2"),
    )


def test_names_are_shown_without_quoting() -> None:
    (listed,) = index_of(b'<a href="a%20b%2B.img">x</a>', URL)
    assert listed == Listed("a b+.img", f"{URL}a%20b%2B.img")


def test_a_page_without_a_slash_at_its_end_is_the_folders() -> None:
    (listed,) = index_of(
        b'<a href="/images/a.img">x</a>', "https://cloud.example.org/images/index.html"
    )
    assert listed.name == "a.img"


@pytest.mark.parametrize(
    "href",
    [
        *("..%2fescape", "%2e%2e", "http://[::1/", "//other.example/images/9/a", "", "a/b", "?x"),
        # To HTTP, or to what is no web server, from a page that came by HTTPS.
        *("./", "http://cloud.example.org/images/9/a", "ftp://cloud.example.org/images/9/a"),
    ],
)
def test_other_links_are_passed_over(href: str) -> None:
    assert index_of(f'<a href="{href}">x</a>'.encode(), URL) == ()


def test_what_is_no_page_lists_nothing() -> None:
    assert index_of(b"\xff\x00<a <<< href=>", URL) == ()


RELEASES = [
    {"tag_name": "v1.9.0-rc1", "prerelease": True, "draft": False, "assets": []},
    {
        "tag_name": "v1.8.2",
        "prerelease": False,
        "assets": [
            {"name": "metal-amd64.raw.zst", "browser_download_url": "https://g.example/m.zst"},
            {"name": "../x", "browser_download_url": "https://g.example/x"},
            {"name": None, "browser_download_url": "https://g.example/x"},
            "text",
        ],
    },
    {"tag_name": "v1.8.1", "assets": None},
]


def test_releases_of_a_git_host() -> None:
    newest, older = releases_of(json.dumps(RELEASES).encode())
    assert newest.tag == "v1.8.2"
    assert newest.assets == (Listed("metal-amd64.raw.zst", "https://g.example/m.zst"),)
    assert (older.tag, older.assets) == ("v1.8.1", ())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>",
        b'{"message": "rate limit"}',
        b"[1]",
        b'[{"name": 1}]',
        b"[" * 10**6,
    ],
)
def test_what_lists_no_releases_is_refused(content: bytes) -> None:
    with pytest.raises(TransferError) as caught:
        releases_of(content)
    assert caught.value.reason is Reason.SUMS_FILE_INVALID
    assert "this is not a list of releases in the format of GitHub's API" in str(caught.value)
