"""What the user reads of steps that failed."""

import pytest

from cloudimage.transfer.contract import Reason
from cloudimage.transfer.customize import model
from cloudimage.transfer.customize.outcome import MOST_BYTES, failure, last_words, succeeded

STEPS = (model.HostnameReset(), model.Run(files={"text": "false"}), model.Update())
REQUEST = model.Customize(steps=STEPS)


def test_the_failed_step_is_named_and_those_after_it_did_not_run() -> None:
    error = failure(REQUEST, [0.54, None], "E: no")
    assert error.reason is Reason.CUSTOMIZE_FAILED
    assert error.message == "step 2 of spec.customize (run) failed: E: no"
    assert [(each.result, each.seconds) for each in error.customize] == [
        ("Succeeded", 0.5),
        ("Failed", None),
        ("NotRun", None),
    ]
    assert error.customize[1].message == "E: no"


def test_a_failure_before_the_first_step_is_nobodys() -> None:
    error = failure(REQUEST, [], "no operating systems were found")
    assert error.message.startswith("the image could not be customized: no operating")
    assert {each.result for each in error.customize} == {"NotRun"}


def test_with_a_network_the_next_try_may_do() -> None:
    networked = model.Customize(steps=STEPS, network=True)
    assert failure(networked, [None], "x").reason is Reason.CUSTOMIZE_NETWORK_FAILED
    # Nothing was asked of a server yet.
    assert failure(networked, [], "x").reason is Reason.CUSTOMIZE_FAILED


def test_without_a_network_the_field_is_named() -> None:
    why = "Temporary failure resolving 'deb.debian.org'"
    assert "spec.customize.network to true" in failure(REQUEST, [None], why).message
    assert "network" not in failure(REQUEST, [None], "no").message


def test_all_steps_that_succeeded_are_told() -> None:
    results = succeeded(REQUEST, [1.0, 2.04, 3.0])
    assert [(each.step, each.seconds) for each in results] == [
        ("hostnameReset", 1.0),
        ("run", 2.0),
        ("update", 3.0),
    ]


def test_last_words_are_plain_bounded_and_the_last() -> None:
    said = "".join(f"line {number} \x1b[31mred\x07\n" for number in range(1000))
    told = last_words(f"{said}virt-customize: error: exit 3\n\nIf reporting bugs, run ...\n", ())
    assert told.endswith("virt-customize: error: exit 3")
    assert "\x1b" not in told
    assert "line 999" in told
    assert "line 900 " not in told
    assert len(last_words("x" * 100_000, ()).encode()) <= MOST_BYTES


def test_what_earlier_scripts_wrote_is_left_out() -> None:
    assert last_words("earlier\ncloudimage: a script begins\nE: no\n", ()) == "E: no"


@pytest.mark.parametrize(
    "said", ["token is s3cr3t-value", "two lines:\n  s3cr3t-value\nend", "s3cr3t-values"]
)
def test_no_secret_is_among_them(said: str) -> None:
    secret = "first line\ns3cr3t-value\n"
    assert "s3cr3t" not in last_words(said, (secret,))
