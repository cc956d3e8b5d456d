"""URLs and names that are templates over a build."""

from typing import Any

import pytest

from cloudimage.transfer.contract import Reason, TransferError
from cloudimage.transfer.source.http.index.templates import at_build, fill
from cloudimage.transfer.source.http.model import HttpSource, Signature, SumsFile


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("https://a/$(folder)/$(name)", "https://a/2024%3F/a%20b%2B.img"),
        ("$$(name)", "$(name)"),
        ("$name $() $(1)", "$name $() $(1)"),
    ],
)
def test_filling_a_url(template: str, expected: str) -> None:
    assert fill(template, {"folder": "2024?", "name": "a b+.img"}, url=True) == expected


def test_what_is_no_url_is_not_quoted() -> None:
    assert fill("$(name) ($(version))", {"name": "a b", "version": "1"}) == "a b (1)"


@pytest.mark.parametrize("value", ["..", "../../etc", "a/../b"])
def test_a_value_does_not_lead_out_of_its_folder(value: str) -> None:
    with pytest.raises(TransferError, match="leads out"):
        fill("https://a/b/$(name)", {"name": value}, url=True)


def test_an_unknown_variable_is_named_with_those_there_are() -> None:
    with pytest.raises(TransferError) as caught:
        fill("$(nmae)", {"name": "x", "version": "1"})
    assert "$(nmae)" in caught.value.message
    assert "$(name), $(version)" in caught.value.message


AT = "https://images.example.org"


@pytest.mark.parametrize(
    "fields",
    [
        {"url": "https://$(host)/a"},
        {"url": "$(scheme)://images.example.org/a"},
        {"url": AT, "mirrors": ("https://$(host)/a",)},
        {"url": AT, "mirrors": ("https://images.example.org$(host)/a",)},
        {"url": AT, "sums": SumsFile(url="https://a@$(host)/a")},
        {"url": AT, "sums": SumsFile(url=AT, signature=Signature(url="https://$(host)/a"))},
        {"url": AT, "signature": Signature(url="https://$(host)/a")},
    ],
)
def test_what_is_listed_chooses_no_host(fields: dict[str, Any]) -> None:
    with pytest.raises(TransferError, match="behind the host") as caught:
        at_build(HttpSource(**fields), {"host": "evil.example.org", "scheme": "http"}, None)
    assert caught.value.reason is Reason.INVALID_REQUEST


def test_a_url_that_no_status_could_keep_is_refused() -> None:
    with pytest.raises(TransferError, match="2048"):
        at_build(HttpSource(url=""), {}, f"{AT}/{'a' * 2048}")


def test_credentials_go_to_the_servers_that_the_spec_names() -> None:
    source = HttpSource(url="", index={"releases": f"{AT}/list"}, mirrors=(f"{AT}:8443/a",))
    built = at_build(source, {}, "https://elsewhere.example.org/disk.qcow2")
    assert built.url == "https://elsewhere.example.org/disk.qcow2"
    assert built.servers == (f"{AT}/list", f"{AT}:8443/a")
