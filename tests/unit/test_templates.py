"""Texts with variables, as Kubernetes expands them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudimage import templates

VALUES = {"version": "24.04", "source.checksum": "sha256:ab"}


def test_variables_of_a_template() -> None:
    found = templates.variables("a $(folder)/$(source.checksum)?$$(no)&$other $$$(yes)")
    assert found == {"folder", "source.checksum", "yes"}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("Ubuntu $(version)", "Ubuntu 24.04"),
        ("$(source.checksum)", "sha256:ab"),
        # The cases of Kubernetes' own expansion.
        ("$$(version)", "$(version)"),
        ("$$$(version)", "$24.04"),
        ("$$$$(version)", "$$(version)"),
        ("a$$b", "a$b"),
        ("$version", "$version"),
        ("$", "$"),
        ("$(version", "$(version"),
        ("two\nlines $(version)", "two\nlines 24.04"),
    ],
)
def test_filling(template: str, expected: str) -> None:
    assert templates.fill(template, VALUES) == expected


def test_what_is_put_in_is_not_filled_again() -> None:
    assert templates.fill("$(a)", {"a": "$(b) $$", "b": "no"}) == "$(b) $$"


@given(st.one_of(st.text(), st.text("$(a)")))
def test_an_escaped_text_stays_what_it_is(text: str) -> None:
    template = templates.escaped(text)
    assert templates.fill(template, {"a": "no"}) == text
    assert not templates.variables(template)
    assert re.fullmatch(templates.pattern(VALUES), template)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A $$ B", "A $$$ B"),
        ("$(version)", "$$(version)"),
        ("$$(version)", "$$$$(version)"),
        ("costs 5$, or $HOME", "costs 5$, or $HOME"),
    ],
)
def test_only_what_would_be_replaced_is_escaped(text: str, expected: str) -> None:
    assert templates.escaped(text) == expected


@pytest.mark.parametrize(
    ("template", "fits"),
    [
        ("", True),
        ("Ubuntu 24.04 ($(version))", True),
        ("$(source.checksum)\n$(version)", True),
        ("costs 5$", True),
        ("$HOME $) $$(anything)", True),
        ("$(built)", False),
        ("$(sourcexchecksum)", False),
        ("$(version) $(verison)", False),
        ("$$$(other)", False),
        ("$(version", False),
        ("$()", False),
        ("$(Version)", False),
    ],
)
def test_which_texts_use_only_known_variables(template: str, fits: bool) -> None:
    assert bool(re.fullmatch(templates.pattern(VALUES), template)) is fits
