"""What ``cloudimage check`` makes of its answers, and of words that are invalid."""

import json

import pytest
from click.testing import CliRunner

from cloudimage.cli.app import app
from cloudimage.cli.check import Line, exit_status, json_of, text_of

LINES = [
    Line("login", "ok", "project images"),
    Line("visibility public", "missing", "Forbidden", needed=False),
]


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ([], 0),
        ([Line("quota", "unknown", "", needed=False)], 0),
        ([Line("quota", "unknown", "")], 2),
        ([Line("make images", "missing", "")], 2),
    ],
)
def test_the_status_is_of_what_every_image_needs(more: list[Line], status: int) -> None:
    assert exit_status([*LINES, *more]) == status


def test_lines_for_people_and_for_programs() -> None:
    assert text_of(LINES).splitlines() == [
        "ok        login                          project images",
        "missing   visibility public (optional)   Forbidden",
    ]
    assert json.loads(json_of(LINES))[1] == {
        "what": "visibility public",
        "state": "missing",
        "text": "Forbidden",
        "needed": False,
    }


def test_words_of_a_cloud_stay_in_their_line() -> None:
    lines = [Line("login", "ok", "project a\nok   make images   \x1b[2J")]
    assert len(text_of(lines).splitlines()) == 1
    assert "\x1b" not in text_of(lines) + json_of(lines)


@pytest.mark.parametrize("words", [(), ("--secret", "a", "--local")])
def test_either_a_secret_or_the_users_own_file(words: tuple[str, ...]) -> None:
    done = CliRunner().invoke(app, ["check", "--cloud", "x", *words])
    assert done.exit_code == 2
    assert "either --secret, or --local" in done.output
