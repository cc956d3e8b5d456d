"""Words from outside: nothing of them moves a cursor, hides, reorders or ends a line."""

import io
import json
import logging
import unicodedata
from datetime import timedelta
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cloudimage import logs
from cloudimage.api.imageshare import ImageShare
from cloudimage.api.meta import Event, plain_model
from cloudimage.api.reasons import ConditionType, Reason
from cloudimage.api.status import ServerReference, UsedBy
from cloudimage.cli import output
from cloudimage.cli.describe import Event as Seen
from cloudimage.cli.describe import describe
from cloudimage.cli.force_delete import stays
from cloudimage.cli.migrate import render
from cloudimage.cli.watch import row_of
from cloudimage.cloud.models import Server, Usage
from cloudimage.controller.logic.conditions import Draft, merge
from cloudimage.images.logic import status
from cloudimage.plaintext import PlainFormatter, plain, plain_lines, plain_tree
from support.resources import NOW, cloud_image
from support.watched import condition

HOSTILE = (
    "\x1b[2J\x1b[31mRED\x1b]0;title\x07\r\nReady: True\x00\x08\x7f\x9b2J\x85\u202egnp.\u2066x\u2069"
    "\u200b\u200d\ufeff\u2028\u2029\U000e0041\ud800\udfff\ue000\U0010ffff\u115f\u3164\ufe0f end"
)
TEXTS = st.text(st.characters(), max_size=200) | st.just(HOSTILE)
"""Any code points, also lone surrogates."""

FORBIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def shows(text: str) -> bool:
    """Return whether nothing in a line does anything but show itself."""
    return all(unicodedata.category(char) not in FORBIDDEN for char in text)


@given(TEXTS)
def test_any_text_becomes_one_line_that_only_shows(text: str) -> None:
    line = plain(text)
    assert shows(line)
    assert plain(line) == line
    line.encode()


@given(TEXTS, st.integers(3, 300))
def test_the_bound_is_of_bytes_and_no_character_is_cut(text: str, most: int) -> None:
    line = plain(text, most)
    assert len(line.encode()) <= most
    assert shows(line)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\x1b[2Jb", "a\ufffd[2Jb"),
        ("one\r\n\ttwo\u2028three", "one two three"),
        ("\x00\x01\x02x", "\ufffdx"),
        ("Zürich 東京 שלום 🙂 ", "Zürich 東京 שלום 🙂"),
        ("", ""),
    ],
)
def test_what_is_written_in_any_language_stays(text: str, line: str) -> None:
    assert plain(text) == line


def test_the_layout_of_several_lines_stays() -> None:
    assert plain_lines("a\n\tb\x1b\n") == "a\n    b\ufffd\n"


def test_a_tree_has_plain_texts_and_keys() -> None:
    tree = {"a\x1b": ["\x00", {"b": 1}], "c": (None, True)}
    assert plain_tree(tree) == {"a\ufffd": ["\ufffd", {"b": 1}], "c": [None, True]}


@given(TEXTS)
def test_conditions_and_events_are_plain_and_bounded(text: str) -> None:
    [made] = merge([], [Draft(ConditionType.READY, "False", Reason.CLOUD_ERROR, text)], 1, NOW)
    assert shows(made.message)
    assert shows(Event("Warning", Reason.CLOUD_ERROR, text).message)


def test_long_messages_are_cut_by_bytes() -> None:
    [made] = merge(
        [], [Draft(ConditionType.READY, "False", Reason.CLOUD_ERROR, "€" * 40_000)], 1, NOW
    )
    assert len(made.message.encode()) <= 32768
    assert len(Event("Warning", Reason.CLOUD_ERROR, "€" * 4000).message.encode()) <= 1024


def test_names_of_servers_in_a_status_are_plain() -> None:
    usage = Usage(servers=(Server("i\x1b", HOSTILE, "p"),), scope="OwnProject")
    used = plain_model(status.deletion_blocked(cloud_image(), Reason.IN_USE, HOSTILE, usage, NOW))
    assert used.used_by is not None
    assert shows(used.used_by.sample[0].name)
    assert shows(used.used_by.sample[0].id)
    json.dumps(used.to_json()).encode()


def test_a_model_that_is_plain_already_is_the_same_one() -> None:
    used = UsedBy(
        servers=1, scope="OwnProject", sample=(ServerReference(id="i", name="n", project_id="p"),)
    )
    assert plain_model(used) is used


def hostile_image() -> Any:
    # The API server keeps no lone surrogates.
    words = HOSTILE.replace("\ud800", "").replace("\udfff", "")
    bad = [
        {**condition("Ready", "False", "CloudError"), "message": words},
        {**condition("Stalled", "True", "Cloud\x1bError"), "message": words},
    ]
    return cloud_image(
        image={"properties": {"os\x1b": words}},
        status={
            "observedGeneration": 3,
            "imageID": words,
            "digest": "d",
            "visibility": words,
            "conditions": bad,
            "usedBy": {
                "servers": 1,
                "scope": "OwnProject",
                "sample": [{"id": words, "name": words, "projectID": words}],
            },
            "revisions": [{"imageID": words, "digest": "d", "current": True}],
        },
    )


def test_describe_shows_a_hostile_object_without_its_effects() -> None:
    share = ImageShare.model_validate(
        {
            "metadata": {"name": "s\x1b", "namespace": "n", "uid": "u", "resourceVersion": "1"},
            "spec": {"imageRef": {"name": "x"}, "projects": [{"id": "p"}]},
            "status": {"summary": {"accepted": HOSTILE[:40]}},
        }
    )
    events = [Seen(NOW, "Warning\x1b", HOSTILE, HOSTILE)]
    resource = hostile_image()
    text = describe(resource, [share], events, NOW + timedelta(seconds=1))
    assert all(map(shows, text.split("\n")))
    # No line of its own is made of a line feed in the words.
    assert not [line for line in text.split("\n") if line.startswith("Ready")]
    assert all(map(shows, stays(resource)))


def test_watch_shows_a_hostile_object_without_its_effects() -> None:
    row = row_of("x", hostile_image())
    assert shows(row.text)
    assert shows(row.message)
    assert shows(row.fate)


def test_json_and_yaml_are_escaped_and_mean_the_same() -> None:
    words = HOSTILE.replace("\ud800", "").replace("\udfff", "")  # YAML has no lone surrogates
    thing = {
        "metadata": {"name": "x", "annotations": {words: words, "ü": "two\nlines\n"}},
        "kind": "CloudImage",
    }
    for syntax, parse in (("json", json.loads), ("yaml", yaml.safe_load)):
        text = output.document([thing], syntax, single=True)
        assert all(map(shows, text.split("\n"))), syntax
        assert parse(text) == thing
        assert "ü" in text


def test_tables_names_and_whatever_is_said_are_plain(capsys: pytest.CaptureFixture[str]) -> None:
    table = {
        "columnDefinitions": [{"name": "Name", "priority": 0}],
        "rows": [{"cells": [HOSTILE], "object": {"metadata": {"namespace": "a\x1b"}}}],
    }
    rows = output.rows_of([table], wide=False, namespaces=True)
    assert all(shows(cell) for row in rows for cell in row)
    output.say(f"{HOSTILE}\n")
    output.say(HOSTILE, err=True)
    said = capsys.readouterr()
    assert all(map(shows, f"{said.out}{said.err}".split("\n")))


def test_a_name_of_the_old_cloud_does_not_end_the_comment_it_is_in() -> None:
    text = render([f"Copies image x\nkind: Secret\n{HOSTILE}"], [{"name": "a\nb\u202e"}])
    first, second = text.split("\n", 1)
    assert first.startswith("# Copies image x kind: Secret")
    assert yaml.safe_load(second) == {"name": "a\nb\u202e"}


def fail() -> None:
    raise ValueError(HOSTILE)


def test_logs_are_plain_also_those_of_libraries(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        logs.configure("INFO")
        try:
            fail()
        except ValueError as error:
            logging.getLogger("library").exception(
                "failed: %s", HOSTILE, extra={"word": HOSTILE, "error": error}
            )
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    [line] = capsys.readouterr().err.splitlines()
    entry = json.loads(line)
    assert shows(line)
    assert shows(entry["event"])
    assert shows(entry["word"])
    assert shows(entry["error"])
    assert all(map(shows, entry["exception"].split("\n")))


def test_the_log_of_a_transfer_cannot_be_made_to_show_other_records() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(PlainFormatter("%(levelname)s %(message)s"))
    record = logging.LogRecord(
        "x", logging.INFO, "f", 1, "%s", (f"a\nERROR forged{HOSTILE}",), None
    )
    handler.emit(record)
    lines = stream.getvalue().removesuffix("\n").split("\n")
    assert all(map(shows, lines))
    assert lines[1].startswith("    ERROR forged")
