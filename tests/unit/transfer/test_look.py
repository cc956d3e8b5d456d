"""Which version a source has, from publishers' layouts on a real server."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cloudimage.transfer.contract import (
    UNRESTRICTED,
    Checksum,
    Latest,
    Limits,
    Reason,
    TransferError,
)
from cloudimage.transfer.interrupts import Interrupts
from cloudimage.transfer.look import look
from cloudimage.transfer.progress import Meter
from cloudimage.transfer.request import LookRequest
from support.transfer_keys import Signer
from testbed.sources import Sources

HOUR = 3600.0


def _sha256(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def _checksum(name: str) -> Checksum:
    return Checksum(algorithm="sha256", value=_sha256(name))


@dataclass
class Publisher:
    """A publisher's server, and what looks at it."""

    sources: Sources
    unique: str
    folder: Path

    def put(self, name: str, content: str | bytes) -> str:
        """Publish a file, and return its URL."""
        data = content.encode() if isinstance(content, str) else content
        self.sources.put(f"{self.unique}/{name}", data)
        return self.url(name)

    def url(self, name: str) -> str:
        """Return where a file is."""
        # As it is, for a template is no file.
        return f"{self.sources.url(self.unique)}/{name}"

    def index_page(self, folder: str, *names: str) -> str:
        """Publish the index of a folder, as nginx writes it."""
        links = "\n".join(f'<a href="{name}">{name}</a>   01-Jul-2024 03:12   -' for name in names)
        page = f'<html><body><pre><a href="../">../</a>\n{links}\n</pre></body></html>'
        return self.put(f"{folder}index.html", page)

    def sums(self, name: str, *names: str) -> str:
        """Publish checksums of files."""
        return self.put(name, "".join(f"{_sha256(each)}  {each}\n" for each in names))

    def look(self, *, age: float = 0, **source: Any) -> Latest:
        """Return what a source has."""
        request = LookRequest.model_validate(
            {
                "source": {"type": "http", "url": "", **source},
                "scratch": self.folder,
                "cache": self.folder / "cache",
                "list_age": age,
                "policy": UNRESTRICTED,
                "limits": Limits(stall_seconds=2),
            }
        )
        return look(request, Meter(lambda _: None), Interrupts())

    def asked(self, name: str) -> list[int]:
        """Return the statuses of the answers to requests for a file."""
        return [each.status for each in self.sources.requests(f"{self.unique}/{name}")]


@pytest.fixture
def publisher(sources: Sources, unique: str, tmp_path: Path) -> Iterator[Publisher]:
    return Publisher(sources, unique, tmp_path)


def test_another_checksum_under_the_same_name_is_another_version(publisher: Publisher) -> None:
    source = {
        "url": publisher.url("disk.img"),
        "sums": {"url": publisher.put("SHA256SUMS", f"{_sha256('old')}  disk.img\n")},
    }
    assert publisher.look(**source) == Latest(
        version=f"sha256:{_sha256('old')}", checksum=_checksum("old")
    )
    publisher.put("SHA256SUMS", f"{_sha256('new')}  disk.img\n")
    assert publisher.look(**source).checksum == _checksum("new")


DEBIAN = (
    "debian-12-generic-amd64-daily-20240716-1810.qcow2",
    "debian-12-generic-amd64-daily-20240717-1811.qcow2",
    "debian-12-generic-amd64-daily-20240717-1811.raw",
)


def test_dated_names_in_a_checksum_file(publisher: Publisher) -> None:
    sums = publisher.sums("daily/latest/SHA512SUMS", *DEBIAN)
    found = publisher.look(
        index={
            "checksums": sums,
            "pattern": r"debian-12-generic-amd64-daily-(?P<version>\d+-\d+)\.qcow2",
        },
        sums={"url": sums, "filename": "$(name)"},
    )
    assert found == Latest(
        version="20240717-1811",
        checksum=_checksum(DEBIAN[1]),
        location=publisher.url(f"daily/latest/{DEBIAN[1]}"),
        values={"name": DEBIAN[1], "version": "20240717-1811"},
    )


def test_dated_names_in_a_checksum_file_whose_files_are_in_dated_folders(
    publisher: Publisher,
) -> None:
    sums = publisher.sums("daily/latest/SHA512SUMS", *DEBIAN)
    found = publisher.look(
        url=publisher.url("daily/$(version)/$(name)"),
        index={
            "checksums": sums,
            "pattern": r"debian-12-generic-amd64-daily-(?P<version>\d+-\d+)\.qcow2",
        },
        sums={"url": sums, "filename": "$(name)"},
    )
    assert found.version == "20240717-1811"
    assert found.location == publisher.url(f"daily/20240717-1811/{DEBIAN[1]}")
    assert found.checksum == _checksum(DEBIAN[1])


def test_a_listing_with_a_checksum_beside_each_file(publisher: Publisher) -> None:
    names = [
        f"CentOS-Stream-GenericCloud-9-{date}.x86_64.qcow2" for date in ("20240603.0", "20240701.0")
    ]
    listing = publisher.index_page(
        "9/", *names, *(f"{each}.SHA256SUM" for each in names), "latest/"
    )
    publisher.sums(f"9/{names[1]}.SHA256SUM", names[1])
    found = publisher.look(
        index={
            "listing": listing,
            "pattern": r"CentOS-Stream-GenericCloud-9-(?P<version>\d+\.\d+)\.x86_64\.qcow2",
        },
        sums={"url": publisher.url("9/$(name).SHA256SUM"), "filename": "$(name)"},
    )
    assert found.version == "20240701.0"
    assert found.location == publisher.url(f"9/{names[1]}")
    assert found.checksum == _checksum(names[1])


def test_dated_folders_the_newest_of_which_is_not_complete(publisher: Publisher) -> None:
    listing = publisher.index_page(
        "arch/", "latest/", "v20240701.1/", "v20240715.2/", "v20240801.3/"
    )
    publisher.index_page("arch/v20240801.3/", "Arch.qcow2.part")
    publisher.index_page(
        "arch/v20240715.2/", "Arch-20240715.2.qcow2", "Arch-20240715.2.qcow2.SHA256"
    )
    name = "Arch-20240715.2.qcow2"
    publisher.sums(f"arch/v20240715.2/{name}.SHA256", name)
    found = publisher.look(
        url=publisher.url("arch/$(folder)/$(name)"),
        index={
            "listing": listing,
            "folder": r"v(?P<version>\d+\.\d+)",
            "pattern": r"Arch-[\d.]+\.qcow2",
        },
        sums={"url": publisher.url("arch/$(folder)/$(name).SHA256")},
    )
    assert found.version == "20240715.2"
    assert found.location == publisher.url(f"arch/v20240715.2/{name}")
    assert found.checksum == _checksum(name)


def test_signed_releases_of_a_git_host(publisher: Publisher, signer: Signer) -> None:
    releases = [
        {"tag_name": "v1.9.0-rc.1", "prerelease": True, "assets": []},
        {"tag_name": "v1.7.10", "assets": []},
        {"tag_name": "v1.8.0", "assets": []},
    ]
    listed = publisher.put("releases", json.dumps(releases))
    sums = f"{_sha256('talos')}  metal-amd64.raw.zst\n".encode()
    publisher.put("v1.8.0/sha256sum.txt", sums)
    publisher.put("v1.8.0/sha256sum.txt.asc", signer.detached(sums))
    source = {
        "url": publisher.url("$(tag)/metal-amd64.raw.zst"),
        "index": {"releases": listed, "folder": r"v(?P<version>.+)"},
        "sums": {
            "url": publisher.url("$(tag)/sha256sum.txt"),
            "signature": {
                "url": publisher.url("$(tag)/sha256sum.txt.asc"),
                "keyring": signer.public(),
            },
        },
    }
    found = publisher.look(**source)
    assert (found.version, found.checksum) == ("1.8.0", _checksum("talos"))
    publisher.put("v1.8.0/sha256sum.txt", sums.replace(b"a", b"b"))
    with pytest.raises(TransferError) as caught:
        publisher.look(**source)
    assert caught.value.reason is Reason.SIGNATURE_INVALID


def _stream(publisher: Publisher, signer: Signer, *versions: str) -> dict[str, Any]:
    product = "com.ubuntu.cloud.daily:server:24.04:amd64"
    items = {
        version: {
            "items": {
                "disk1.img": {
                    "ftype": "disk1.img",
                    "sha256": _sha256(version),
                    "path": f"server/noble/{version}/noble-server-cloudimg-amd64.img",
                }
            }
        }
        for version in versions
    }
    products = {
        product: {"aliases": "24.04,noble", "arch": "amd64", "versions": items},
        product.replace("amd64", "arm64"): {"aliases": "24.04,noble", "arch": "arm64"},
    }
    entry = {
        "datatype": "image-downloads",
        "path": "streams/v1/download.sjson",
        "products": list(products),
    }
    index = json.dumps({"format": "index:1.0", "index": {"download": entry}}).encode()
    listed = json.dumps({"format": "products:1.0", "products": products}).encode()
    url = publisher.put("daily/streams/v1/index.sjson", signer.clearsigned(index))
    publisher.put("daily/streams/v1/download.sjson", signer.clearsigned(listed))
    stream = {"url": url, "item": "disk1.img", "alias": "24.04", "arch": "amd64"}
    return {"index": {"stream": {**stream, "signed": True, "keyring": signer.public()}}}


def test_signed_simple_streams(publisher: Publisher, signer: Signer) -> None:
    source = _stream(publisher, signer, "20240702", "20240701", "20240702.1")
    assert publisher.look(**source) == Latest(
        version="20240702.1",
        checksum=_checksum("20240702.1"),
        location=publisher.url("daily/server/noble/20240702.1/noble-server-cloudimg-amd64.img"),
        values={"name": "noble-server-cloudimg-amd64.img", "version": "20240702.1"},
    )


def test_a_stream_that_nobody_signed_is_refused(publisher: Publisher, signer: Signer) -> None:
    source = _stream(publisher, signer, "20240702")
    publisher.put("daily/streams/v1/download.sjson", json.dumps({"format": "products:1.0"}))
    with pytest.raises(TransferError) as caught:
        publisher.look(**source)
    assert caught.value.reason is Reason.SIGNATURE_INVALID


def _dated(publisher: Publisher) -> dict[str, Any]:
    sums = publisher.sums("SHA256SUMS", "disk-1.img", "disk-2.img")
    pattern = r"disk-(?P<version>\d+)\.img"
    return {
        "index": {"checksums": sums, "pattern": pattern},
        "sums": {"url": sums, "filename": "$(name)"},
    }


def test_many_looks_within_an_hour_cost_one_request(publisher: Publisher) -> None:
    source = _dated(publisher)
    assert {publisher.look(age=HOUR, **source).version for _ in range(20)} == {"2"}
    assert publisher.asked("SHA256SUMS") == [200]


def test_a_list_that_did_not_change_is_not_sent_again(publisher: Publisher) -> None:
    source = _dated(publisher)
    assert [publisher.look(**source).version for _ in range(2)] == ["2", "2"]
    assert publisher.asked("SHA256SUMS") == [200, 304, 304, 304]
    publisher.sums("SHA256SUMS", "disk-2.img", "disk-3.img")
    assert publisher.look(**source).version == "3"


def test_a_kept_list_is_not_shown_to_others(publisher: Publisher) -> None:
    source = _dated(publisher)
    publisher.look(age=HOUR, **source)
    publisher.look(age=HOUR, **source, auth={"bearer": "token"})
    assert publisher.asked("SHA256SUMS") == [200, 200]


@pytest.mark.parametrize("content", ["", "<html>gone</html>", f"{'0' * 64}  other.img\n"])
def test_a_list_that_lost_its_builds_is_told(publisher: Publisher, content: str) -> None:
    source = _dated(publisher)
    publisher.put("SHA256SUMS", content)
    with pytest.raises(TransferError) as caught:
        publisher.look(**source)
    assert caught.value.reason in {Reason.SOURCE_NOT_FOUND, Reason.SUMS_FILE_INVALID}


def test_without_a_list_there_is_no_version(publisher: Publisher) -> None:
    with pytest.raises(TransferError, match="which version it has"):
        publisher.look(url=publisher.put("disk.img", b"x"))
