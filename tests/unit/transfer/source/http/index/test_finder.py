"""Builds in folders of folders, among releases and in signed lists, on a real server."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cloudimage.transfer.contract import UNRESTRICTED, Latest, Limits, Reason, TransferError
from cloudimage.transfer.interrupts import Interrupts
from cloudimage.transfer.look import look
from cloudimage.transfer.progress import Meter
from cloudimage.transfer.request import LookRequest
from support.transfer_keys import Signer
from testbed.sources import Sources

Ask = Callable[..., Latest]
Tree = Callable[..., str]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """Return what a source has."""

    def run(**source: Any) -> Latest:
        request = LookRequest.model_validate(
            {
                "source": {"type": "http", "url": "", **source},
                "scratch": tmp_path,
                "cache": tmp_path / "cache",
                "list_age": 3600,
                "policy": UNRESTRICTED,
                "limits": Limits(stall_seconds=2),
            }
        )
        return look(request, Meter(lambda _: None), Interrupts())

    return run


@pytest.fixture
def tree(sources: Sources, unique: str) -> Tree:
    """Publish the pages of folders, each with what is in it; return the URL of the whole."""

    def publish(**folders: tuple[str, ...]) -> str:
        for folder, names in folders.items():
            links = "\n".join(f'<a href="{name}">{name}</a>' for name in names)
            page = f'<pre><a href="../">../</a>\n{links}</pre>'.encode()
            sources.put(f"{unique}/{folder.replace('_', '/')}/index.html", page)
        return f"{sources.url(unique)}/top/"

    return publish


def test_the_newest_of_folders_in_folders_that_has_a_file(ask: Ask, tree: Tree) -> None:
    listing = tree(
        top=("2025/", "2026/", "latest/"),
        top_2025=("12/",),
        top_2026=("9/", "10/", "11/"),
        top_2026_9=("disk-1.img",),
        top_2026_10=("disk-2.img", "disk-2.img.sig"),
        top_2026_11=("disk-3.img.part",),
    )
    pattern = r"disk-(?P<version>\d+)\.img"
    found = ask(index={"listing": listing, "folder": r"\d{4}/\d+", "pattern": pattern})
    assert (found.version, found.values["folder"]) == ("2", "2026/10")
    assert found.location == f"{listing}2026/10/disk-2.img"


def test_a_level_that_is_no_pattern_is_not_listed(ask: Ask, tree: Tree) -> None:
    listing = tree(top=("43/", "44/", "45/"), top_44_images=("disk-7.img",))
    found = ask(
        index={
            "listing": listing,
            "folder": r"(?P<version>\d+)/images",
            "pattern": r"disk-(?P<build>\d+)\.img",
        }
    )
    assert (found.version, found.values["folder"]) == ("44-7", "44/images")
    assert found.location == f"{listing}44/images/disk-7.img"


def test_too_many_levels_are_refused(ask: Ask, tree: Tree) -> None:
    index = {"listing": tree(top=("1/",)), "folder": r"\d/\d/\d/\d", "pattern": ".*"}
    with pytest.raises(TransferError, match="more than 3 patterns") as caught:
        ask(index=index)
    assert caught.value.reason is Reason.INVALID_REQUEST


def test_a_release_has_the_digest_of_its_file(ask: Ask, sources: Sources, unique: str) -> None:
    digest = hashlib.sha256(b"iso").hexdigest()
    name = "vyos-2026.11.29-0021-rolling-generic-amd64.iso"
    url = f"https://github.com/vyos/vyos-nightly-build/releases/download/2026.11.29-0021/{name}"
    assets = [
        {"name": name, "browser_download_url": url, "digest": f"sha256:{digest}"},
        {"name": f"{name}.minisig", "browser_download_url": f"{url}.minisig", "digest": None},
    ]
    releases = [
        {"tag_name": "2026.11.29-0021-rolling", "assets": assets},
        {"tag_name": "2026.11.28-0021-rolling", "assets": []},
    ]
    listed = sources.put(f"{unique}/releases", json.dumps(releases).encode())
    pattern = r"vyos-(?P<version>[\d.]+-\d+)-rolling-generic-amd64\.iso"
    found = ask(index={"releases": listed, "pattern": pattern})
    assert (found.version, found.location) == ("2026.11.29-0021", url)
    assert str(found.checksum) == f"sha256:{digest}"


@pytest.mark.parametrize("digest", ["md5:0", "sha256:0", 7, None])
def test_another_digest_is_none(ask: Ask, sources: Sources, unique: str, digest: Any) -> None:
    asset = {"name": "a.img", "browser_download_url": "https://x.example/a.img", "digest": digest}
    releases = json.dumps([{"tag_name": "1", "assets": [asset]}]).encode()
    found = ask(index={"releases": sources.put(f"{unique}/r", releases), "pattern": r".*\.img"})
    assert found.checksum is None


def test_a_signed_list_that_has_the_builds_is_asked_for_once(
    ask: Ask, sources: Sources, unique: str, signer: Signer
) -> None:
    listed = f"{hashlib.sha256(b'x').hexdigest()}  disk-1.img\n".encode()
    sums = sources.put(f"{unique}/CHECKSUM", listed)
    signature = sources.put(f"{unique}/CHECKSUM.asc", signer.detached(listed, "--armor"))
    proof = {"url": signature, "keyring": signer.public()}
    found = ask(
        index={"checksums": sums, "pattern": r"disk-(?P<version>\d+)\.img"},
        sums={"url": sums, "filename": "$(name)", "signature": proof},
    )
    assert found.version == "1"
    assert len(sources.requests(f"{unique}/CHECKSUM")) == 1
