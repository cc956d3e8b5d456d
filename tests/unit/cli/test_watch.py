"""When watching ends, and what is shown until then."""

import io
from collections.abc import Mapping

import pytest
from rich.console import Console

from cloudimage.api.cloudimage import CloudImage
from cloudimage.cli import watch
from cloudimage.cli.state import State, exit_status, state_of
from support.resources import NOW, cloud_image
from support.watched import AVAILABLE, BLOCKED, MISMATCH, UPLOADING, image

READY, STALLED, WORKING, GONE = State.READY, State.STALLED, State.WORKING, State.GONE


@pytest.mark.parametrize(
    ("resource", "state"),
    [
        (None, GONE),
        (cloud_image(), WORKING),
        (AVAILABLE, READY),
        (UPLOADING, WORKING),
        (MISMATCH, STALLED),
        (image(("Ready", "True", "ReplacementPending")), WORKING),
        (image(("Ready", "True", "ReplacementPending"), ("Stalled", "True", "X")), STALLED),
        (image(("Ready", "True", "Available"), generation=4), WORKING),
        (image(("Stalled", "True", "X"), annotations={"cloudimage.dev/retry": "now"}), WORKING),
        (
            image(
                ("Stalled", "True", "X"),
                annotations={"cloudimage.dev/retry": "now"},
                status={"lastHandledRetry": "now"},
            ),
            STALLED,
        ),
        (image(("Ready", "True", "Available"), deletion_timestamp=NOW), WORKING),
        (BLOCKED, STALLED),
    ],
)
def test_state(resource: CloudImage | None, state: State) -> None:
    assert state_of(resource) is state


@pytest.mark.parametrize(
    ("resource", "text"),
    [
        (UPLOADING, "Uploading 63% at 32.0MiB/s"),
        (image(("Ready", "False", "Progressing")), "Waiting for the operator"),
        (image(("Ready", "False", "CloudUnreachable")), "CloudUnreachable"),
        (
            image(
                ("Ready", "False", "CloudUnreachable"), status={"progress": {"stage": "Pending"}}
            ),
            "CloudUnreachable, Pending",
        ),
        # What stands there is of the spec before.
        (image(("Ready", "True", "Available"), generation=4), "Waiting for the operator"),
        (image(("Ready", "True", "Available"), deletion_timestamp=NOW), "Being deleted"),
        (BLOCKED, "InUse"),
        (None, "was deleted"),
    ],
)
def test_what_is_shown_of_an_object(resource: CloudImage | None, text: str) -> None:
    assert watch.row_of("a", resource).text == text


@pytest.mark.parametrize(
    ("states", "status"),
    [
        ({READY}, 0),
        ({READY, WORKING}, None),
        ({STALLED, WORKING}, None),
        ({READY, STALLED}, 1),
        ({READY, GONE}, 1),
    ],
)
def test_end(states: set[State], status: int | None) -> None:
    assert exit_status(states) == status


@pytest.mark.parametrize(
    ("text", "seconds"), [("0", None), ("90s", 90), ("5m", 300), ("1h30m", 5400), ("7", 7)]
)
def test_durations(text: str, seconds: float | None) -> None:
    assert watch.seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "5 m", "-1s", "5m!"])
def test_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        watch.seconds(text)


def run(
    *snapshots: Mapping[str, CloudImage], names: tuple[str, ...] = ()
) -> tuple[int | None, list[str], list[str]]:
    """Follow snapshots; return the status, the lines, and the last words."""
    lines: list[str] = []
    keyed = ({("images", name): each for name, each in shot.items()} for shot in snapshots)
    asked = [("images", name) for name in names]
    status, rows = watch.follow(keyed, asked, watch.Lines(lines.append), lambda key: key[1])
    return status, lines, watch.termination_message(rows, "5m" if status is None else None)


def test_a_line_for_each_change_until_all_are_ready() -> None:
    further = UPLOADING.model_copy(
        update={
            "status": UPLOADING.status.model_copy(
                update={
                    "progress": UPLOADING.status.progress
                    and UPLOADING.status.progress.model_copy(update={"percent": 64})
                }
            )
        }
    )
    done = run(
        {"a": UPLOADING, "b": AVAILABLE},
        {"a": further, "b": AVAILABLE},
        {"a": AVAILABLE, "b": AVAILABLE},
        {"a": MISMATCH, "b": AVAILABLE},
    )
    assert done == (0, ["a: Uploading 63% at 32.0MiB/s", "b: Ready", "a: Ready"], [])


def test_what_is_stalled_ends_it_with_its_reason() -> None:
    status, lines, words = run({"a": MISMATCH, "b": UPLOADING}, {"a": MISMATCH, "b": AVAILABLE})
    assert status == 1
    assert lines[0] == "a: ChecksumMismatch"
    assert words == ["a is not Ready: ChecksumMismatch: ChecksumMismatch is why."]


def test_time_is_up() -> None:
    status, _, words = run({"a": UPLOADING})
    assert (status, words) == (None, ["a is not Ready after 5m: Uploading 63% at 32.0MiB/s."])


def test_one_that_was_named_and_deleted_is_not_ready() -> None:
    status, _, words = run({"a": UPLOADING, "b": MISMATCH}, {"b": MISMATCH}, names=("a",))
    assert (status, words) == (1, ["a is not Ready: was deleted."])


def test_one_that_was_named_and_is_gone_before_the_watch_is_not_ready() -> None:
    assert run({}, names=("a",))[0] == 1


def test_of_all_one_that_is_deleted_counts_no_more() -> None:
    assert run({"a": UPLOADING, "b": AVAILABLE}, {"b": AVAILABLE})[0] == 0


def screen(rows: list[watch.Row], height: int = 20) -> str:
    """Return what a terminal shows in the end."""
    console = Console(
        file=io.StringIO(), force_terminal=True, width=80, height=height, color_system=None
    )
    with watch.Bars(console) as bars:
        bars.show(rows)
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def test_bars() -> None:
    shown = screen([watch.row_of("a", UPLOADING), watch.row_of("b[1]", AVAILABLE)])
    assert "Uploading 63% at 32.0MiB/s" in shown
    assert "b[1]" in shown
    assert "1 of 2 are Ready" in shown


def test_many_bars_leave_the_ready_ones_out() -> None:
    rows = [watch.row_of(f"ready-{number}", AVAILABLE) for number in range(20)]
    shown = screen([*rows, watch.row_of("late", UPLOADING)], height=10)
    assert "late" in shown
    assert "ready-3" not in shown
    assert "20 of 21 are Ready" in shown
