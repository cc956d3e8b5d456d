"""What the words of a user's command mean, and how objects and failures are printed."""

import json

import pytest
import yaml

from cloudimage.api.kinds import CLOUD_IMAGE, IMAGE_SHARE, Kind
from cloudimage.cli import output
from cloudimage.cli.arguments import Target, targets
from cloudimage.cli.errors import of_answer

NOT_FOUND = json.dumps(
    {"kind": "Status", "message": 'cloudimages.cloudimage.dev "x" not found', "code": 404}
)
TABLE = {
    "columnDefinitions": [
        {"name": "Name", "priority": 0},
        {"name": "In Use", "priority": 0},
        {"name": "Reason", "priority": 1},
    ],
    "rows": [
        {"cells": ["debian-12", 2, "Available"], "object": {"metadata": {"namespace": "images"}}},
        {"cells": ["other", None, None], "object": {"metadata": {"namespace": "web"}}},
    ],
}


@pytest.mark.parametrize(
    ("words", "kind", "names"),
    [
        ("", CLOUD_IMAGE, [None]),
        ("debian-12", CLOUD_IMAGE, ["debian-12"]),
        ("debian-12 shares", CLOUD_IMAGE, ["debian-12", "shares"]),
        ("cloudimages", CLOUD_IMAGE, [None]),
        ("cimg a b", CLOUD_IMAGE, ["a", "b"]),
        ("image a", CLOUD_IMAGE, ["a"]),
        ("shares", IMAGE_SHARE, [None]),
        ("imageshare a", IMAGE_SHARE, ["a"]),
        ("cimgshare a", IMAGE_SHARE, ["a"]),
        ("ImageShares.cloudimage.dev a", IMAGE_SHARE, ["a"]),
        ("cloudimage.cloudimage.dev/a", CLOUD_IMAGE, ["a"]),
        ("share/a share/b", IMAGE_SHARE, ["a", "b"]),
        ("image/shares", CLOUD_IMAGE, ["shares"]),
    ],
)
def test_words(words: str, kind: Kind, names: list[str | None]) -> None:
    assert targets(words.split()) == tuple(Target(kind, name) for name in names)


def test_kinds_may_be_mixed() -> None:
    assert [each.kind for each in targets(["image/a", "share/b"])] == [CLOUD_IMAGE, IMAGE_SHARE]


@pytest.mark.parametrize("word", ["pod/a", "image/", "/a"])
def test_no_kind_of_ours(word: str) -> None:
    with pytest.raises(ValueError, match="KIND/NAME"):
        targets([word])


@pytest.mark.parametrize(
    ("wide", "namespaces", "text"),
    [
        (False, False, "NAME        IN USE\ndebian-12   2\nother"),
        (
            True,
            False,
            "NAME        IN USE   REASON\ndebian-12   2        Available\nother",
        ),
        (
            False,
            True,
            "NAMESPACE   NAME        IN USE\nimages      debian-12   2\nweb         other",
        ),
    ],
)
def test_table(wide: bool, namespaces: bool, text: str) -> None:
    assert output.aligned(output.rows_of([TABLE], wide=wide, namespaces=namespaces)) == text


def test_no_rows_no_heading() -> None:
    assert output.rows_of([TABLE | {"rows": []}], wide=False, namespaces=False) == []


def test_documents() -> None:
    thing = {"kind": "CloudImage", "metadata": {"name": "a"}}
    assert json.loads(output.document([thing], "json", single=True)) == thing
    listed = yaml.safe_load(output.document([thing, thing], "yaml", single=False))
    assert (listed["kind"], listed["items"]) == ("List", [thing, thing])
    assert output.names_of([thing]) == "cloudimage.cloudimage.dev/a\n"


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (404, "404 page not found\n", "does not have the CRDs"),
        (404, NOT_FOUND, 'There is no such object: cloudimages.cloudimage.dev "x" not found.'),
        (401, "", "does not accept your credentials"),
        (403, "", "You are not allowed to do that: Forbidden."),
        (500, "oops", "refused with status 500: Forbidden."),
    ],
)
def test_failures_are_sentences(status: int, body: str, words: str) -> None:
    said = of_answer(status, body, "Forbidden")
    assert words in said
    assert said.endswith(".")
