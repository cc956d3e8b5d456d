"""Which method is chosen, and what is told to the user about it."""

from typing import Any

import pytest

from cloudimage.transfer.contract import UNRESTRICTED, Reason, TransferError
from cloudimage.transfer.glance.methods import Choice, Offers, choose
from cloudimage.transfer.request import TransferRequest

ALL = Offers(frozenset({"glance-direct", "web-download", "copy-image"}), ("fast", "slow"))
NONE = Offers()
SHA512 = {"algorithm": "sha512", "value": "0" * 128}
PROVEN = {
    "type": "http",
    "url": "http://example.org/disk",
    "format": "raw",
    "checksum": SHA512,
}


def request(
    source: dict[str, Any] | None = None,
    method: str = "Auto",
    stores: tuple[str, ...] = (),
    disk_format: str | None = None,
    **others: Any,
) -> TransferRequest:
    return TransferRequest.model_validate(
        {
            "source": PROVEN | (source or {}),
            "image": {"id_seed": "seed", "name": "name", "disk_format": disk_format},
            "cloud": {"config": {}},
            "scratch": "scratch",
            "method": {"method": method, "stores": stores},
            "policy": UNRESTRICTED,
            **others,
        }
    )


def refusal(wanted: TransferRequest, offers: Offers) -> TransferError:
    with pytest.raises(TransferError) as caught:
        choose(wanted, offers)
    return caught.value


@pytest.mark.parametrize("method", ["Upload", "GlanceDirect", "WebDownload"])
def test_what_is_asked_for(method: str) -> None:
    choice = choose(request(method=method), ALL)
    assert (choice.method, choice.asked) == (method, True)
    assert choice.reason == f"{method}, as requested"


@pytest.mark.parametrize(
    ("method", "name"), [("GlanceDirect", "glance-direct"), ("WebDownload", "web-download")]
)
def test_what_the_cloud_does_not_offer(method: str, name: str) -> None:
    error = refusal(request(method=method), Offers(frozenset({"copy-image"})))
    assert error.reason is Reason.METHOD_UNAVAILABLE
    assert f"offers copy-image, but {name} is needed" in error.message


def test_several_stores_by_upload_take_a_copy() -> None:
    offers = Offers(frozenset({"glance-direct"}), ("a", "b"))
    assert choose(request(method="Upload", stores=("a",)), offers).method == "Upload"
    error = refusal(request(method="Upload", stores=("a", "b")), offers)
    assert error.reason is Reason.METHOD_UNAVAILABLE
    assert "copy-image" in error.message


@pytest.mark.parametrize("method", ["Auto", "Upload", "GlanceDirect", "WebDownload"])
def test_stores_that_are_not_there(method: str) -> None:
    error = refusal(request(method=method, stores=("fast", "tape")), ALL)
    assert error.reason is Reason.INVALID_IMAGE
    assert error.message.startswith("Glance has no writable store tape")
    assert error.message.endswith("available are fast, slow")


def test_stores_where_none_can_be_chosen() -> None:
    assert refusal(request(stores=("fast",)), NONE).reason is Reason.INVALID_IMAGE


WEB_OBSTACLES = [
    ({"format": None}, "format"),
    ({"auth": {"bearer": "x"}}, "credentials"),
    ({"ca_certificate": "pem"}, "certificate"),
    ({"url": "http://user:word@example.org/disk"}, "credentials"),
    ({"url": "ftp://example.org/disk"}, "scheme"),
    ({"signature": {"keyring": "x"}}, "signature"),
    ({"sums": {"url": "http://example.org/SHA512SUMS"}}, "checksum file"),
    ({"checksum": {"algorithm": "sha256", "value": "0" * 64}}, "sha256"),
]


@pytest.mark.parametrize(("source", "words"), WEB_OBSTACLES)
@pytest.mark.parametrize("method", ["Auto", "WebDownload"])
def test_promises_that_glance_cannot_keep(source: dict[str, Any], words: str, method: str) -> None:
    wanted = request(source, method)
    if method == "Auto":
        choice = choose(wanted, ALL)
        assert choice.method == "Upload"
        assert words in choice.reason
    else:
        error = refusal(wanted, ALL)
        assert error.reason is Reason.METHOD_UNAVAILABLE
        assert words in error.message
        assert "word@" not in error.message


def test_checksum_of_bytes_that_are_converted() -> None:
    wanted = request({"format": "qcow2"}, "WebDownload", disk_format="raw")
    assert "converted" in refusal(wanted, ALL).message
    without = request({"format": "qcow2", "checksum": None}, "WebDownload", disk_format="raw")
    assert choose(without, ALL).method == "WebDownload"


def test_vhd_is_not_left_to_glance_to_convert() -> None:
    source = {"format": "vhd", "checksum": None}
    converted = request(source, "WebDownload", disk_format="raw")
    assert "geometry" in refusal(converted, ALL).message
    assert choose(request(source, "WebDownload"), ALL).method == "WebDownload"


@pytest.mark.parametrize(
    "changes",
    [
        {"source": {"checksum": None}},
        {"source": {"checksum": {"algorithm": "md5", "value": "0" * 32}}},
        {"source": {"mirrors": ["http://example.net/disk"]}},
        {"source": {"format": "qcow2"}},
        {"disk_format": "qcow2"},
        {"policy": {"deny_networks": ["10.0.0.0/8"]}},
        {"policy": {"allow_networks": []}},  # the operator's default
    ],
)
def test_auto_uploads_when_in_doubt(changes: dict[str, Any]) -> None:
    choice = choose(request(**changes), ALL)
    assert (choice.method, choice.asked) == ("Upload", False)
    assert choice.reason.startswith("Upload and not WebDownload: ")


def test_auto_has_glance_fetch_what_its_hash_proves() -> None:
    """Only by hand: the request's policy allows everything, which the operator's never does."""
    assert choose(request(), ALL).method == "WebDownload"
    assert choose(request(stores=("fast", "slow")), ALL).method == "WebDownload"
    assert choose(request({"format": "iso"}, disk_format="iso"), ALL).method == "WebDownload"
    assert choose(request(), NONE).method == "Upload"


def test_auto_with_several_stores() -> None:
    both = request({"format": "qcow2"}, stores=("a", "b"))
    stores = ("a", "b")
    direct = Offers(frozenset({"glance-direct", "copy-image"}), stores)
    assert choose(both, direct).method == "GlanceDirect"
    assert choose(both, Offers(frozenset({"copy-image"}), stores)).method == "Upload"
    assert refusal(both, Offers(frozenset(), stores)).reason is Reason.METHOD_UNAVAILABLE


def test_upload_after_another_method_failed() -> None:
    error = TransferError(Reason.UPLOAD_FAILED, "no luck")
    choice = Choice("WebDownload", "").instead(error)
    assert choice.method == "Upload"
    assert choice.reason == "Upload, because WebDownload failed: no luck"


@pytest.mark.parametrize("mode", ["Warn", "Enforce"])
def test_bytes_that_are_to_be_looked_into_go_through_us(mode: str) -> None:
    assert choose(request(), ALL).method == "WebDownload"
    choice = choose(request(lint=mode), ALL)
    assert choice.method == "Upload"
    assert f"spec.lint {mode} wants the image looked into" in choice.reason
    error = refusal(request(method="WebDownload", lint=mode), ALL)
    assert error.reason is Reason.METHOD_UNAVAILABLE
    assert f"spec.lint {mode}" in error.message


@pytest.mark.parametrize("mode", ["Auto", "Skip"])
def test_a_look_that_was_not_asked_for_is_no_reason_for_it(mode: str) -> None:
    assert choose(request(lint=mode), ALL).method == "WebDownload"
