"""Simple Streams, in the shape that Ubuntu and LXD publish."""

import json
from typing import Any

import pytest

from cloudimage.transfer.contract import Reason, TransferError
from cloudimage.transfer.source.http.index.simplestreams import Item, Wanted, documents, items

INDEX_URL = "https://cloud-images.example.com/daily/streams/v1/index.json"
PRODUCTS_URL = (
    "https://cloud-images.example.com/daily/streams/v1/com.ubuntu.cloud:daily:download.json"
)
PRODUCT = "com.ubuntu.cloud.daily:server:24.04:amd64"
ARM64 = "com.ubuntu.cloud.daily:server:24.04:arm64"
SHA256 = "ab" * 32


def _file(version: str, name: str = "disk1.img", **more: Any) -> dict[str, Any]:
    return {
        "ftype": name,
        "sha256": SHA256,
        "md5": "cd" * 16,
        "size": 612_000_000,
        "path": f"server/noble/{version}/noble-server-cloudimg-amd64.img",
        **more,
    }


def _products(**products: Any) -> bytes:
    return json.dumps({"format": "products:1.0", "products": products}).encode()


def _noble(arch: str = "amd64", **versions: Any) -> dict[str, Any]:
    return {
        "aliases": "24.04,default,lts,n,noble",
        "arch": arch,
        "release": "noble",
        "version": "24.04",
        "versions": versions,
    }


INDEX = {
    "format": "index:1.0",
    "index": {
        "com.ubuntu.cloud:daily:download": {
            "datatype": "image-downloads",
            "path": "streams/v1/com.ubuntu.cloud:daily:download.json",
            "products": [PRODUCT],
        },
        "com.ubuntu.cloud:daily:aws": {
            "datatype": "image-ids",
            "path": "streams/v1/com.ubuntu.cloud:daily:aws.json",
            "products": [PRODUCT],
        },
        "com.ubuntu.cloud:daily:older": {
            "datatype": "image-downloads",
            "path": "streams/v1/older.json",
            "products": ["com.ubuntu.cloud.daily:server:12.04:amd64"],
        },
    },
}


def test_an_index_leads_to_the_list_that_has_the_product() -> None:
    content = json.dumps(INDEX).encode()
    assert documents(content, INDEX_URL, Wanted("disk1.img", product=PRODUCT)) == (
        "https://cloud-images.example.com/daily/streams/v1/com.ubuntu.cloud%3Adaily%3Adownload.json",
    )
    by_alias = documents(content, INDEX_URL, Wanted("disk1.img", alias="24.04", arch="amd64"))
    assert len(by_alias) == 2


def test_a_product_list_leads_nowhere_else() -> None:
    assert documents(_products(), PRODUCTS_URL, Wanted("disk1.img", product=PRODUCT)) == ()


VERSIONS = {
    "20240701": {"items": {"disk1.img": _file("20240701"), "manifest": _file("x", "manifest")}},
    "20240702": {"items": {"disk1.img": _file("20240702", size="many")}},
    "20240703": {"items": {"disk1.img": {"ftype": "disk1.img", "path": "a", "md5": "00" * 16}}},
    "20240704": "being made",
    "9" * 5000: {"items": {"disk1.img": _file("9")}},
}


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted("disk1.img", product=PRODUCT),
        Wanted("disk1.img", alias="24.04", arch="amd64"),
        Wanted("disk1.img", alias="noble", arch="amd64"),
    ],
)
def test_the_versions_of_a_product_that_can_be_proven(wanted: Wanted) -> None:
    content = _products(
        **{
            PRODUCT: _noble(**VERSIONS),
            "com.ubuntu.cloud.daily:server:24.04:arm64": _noble("arm64"),
        }
    )
    first, second = items(content, PRODUCTS_URL, wanted)
    assert first == Item(
        "20240701",
        "https://cloud-images.example.com/daily/server/noble/20240701/noble-server-cloudimg-amd64.img",
        first.checksum,
        612_000_000,
    )
    assert (first.checksum.algorithm, first.checksum.value) == ("sha256", SHA256)
    assert (second.version, second.size) == ("20240702", None)


def test_an_item_is_known_by_its_name_or_its_type() -> None:
    file = _file("1", "disk-kvm.img")
    content = _products(**{PRODUCT: _noble(**{"1": {"items": {"disk.qcow2": file}}})})
    for name in ("disk.qcow2", "disk-kvm.img"):
        assert len(items(content, PRODUCTS_URL, Wanted(name, product=PRODUCT))) == 1


def test_a_product_that_is_not_listed_has_no_versions() -> None:
    content = _products(**{ARM64: _noble("arm64")})
    assert items(content, PRODUCTS_URL, Wanted("disk1.img", product=PRODUCT)) == ()


def test_one_product_must_be_meant() -> None:
    content = _products(**{PRODUCT: _noble(), ARM64: _noble("arm64")})
    with pytest.raises(TransferError, match="several products that are meant"):
        items(content, PRODUCTS_URL, Wanted("disk1.img", alias="24.04"))


@pytest.mark.parametrize("path", ["../../etc/shadow", "/root", "a/../../b", "a\ud800"])
def test_a_path_stays_within_its_mirror(path: str) -> None:
    versions = {"1": {"items": {"disk1.img": _file("1", path=path)}}}
    content = _products(**{PRODUCT: _noble(**versions)})
    with pytest.raises(TransferError, match="leads out"):
        items(content, PRODUCTS_URL, Wanted("disk1.img", product=PRODUCT))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b'{"format": "products:2.0"}',
        b'{"format": {}}',
        b"[" * 10**6,
        b"\xff",
        b"null",
    ],
)
def test_what_is_no_stream_is_refused(content: bytes) -> None:
    wanted = Wanted("disk1.img", product=PRODUCT)
    for parse in (documents, items):
        with pytest.raises(TransferError) as caught:
            parse(content, PRODUCTS_URL, wanted)
        assert caught.value.reason is Reason.SUMS_FILE_INVALID


@pytest.mark.parametrize("products", [None, [], "text"])
def test_products_of_another_shape_are_refused(products: Any) -> None:
    content = json.dumps({"format": "products:1.0", "products": products}).encode()
    with pytest.raises(TransferError):
        items(content, PRODUCTS_URL, Wanted("disk1.img", product=PRODUCT))


@pytest.mark.parametrize("product", [None, [], {}, {"versions": []}, {"versions": {"1": {}}}])
def test_a_product_of_another_shape_has_no_versions(product: Any) -> None:
    content = _products(**{PRODUCT: product})
    assert items(content, PRODUCTS_URL, Wanted("disk1.img", product=PRODUCT)) == ()
