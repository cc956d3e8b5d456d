"""URLs and names that are templates over a build."""

import pytest

from cloudimage.transfer.contract import TransferError
from cloudimage.transfer.source.http.index.templates import fill


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
