"""What the user reads of steps that failed."""

import pytest

from cloudimage.transfer.contract import Reason
from cloudimage.transfer.customize import model
from cloudimage.transfer.customize.network.traffic import Traffic
from cloudimage.transfer.customize.outcome import (
    MOST_BYTES,
    Facts,
    asked_for,
    cause,
    failure,
    last_words,
    succeeded,
)

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


@pytest.mark.parametrize(
    ("traffic", "reason"),
    [
        (Traffic(), Reason.CUSTOMIZE_FAILED),
        (Traffic(asked=3), Reason.CUSTOMIZE_NETWORK_FAILED),
        (Traffic(3, unreached=("a: refused",)), Reason.CUSTOMIZE_NETWORK_FAILED),
        (Traffic(3, refused=("a has an address",)), Reason.CUSTOMIZE_FAILED),
        (Traffic(3, ("a has an address",), ("b: refused",)), Reason.CUSTOMIZE_NETWORK_FAILED),
    ],
)
@pytest.mark.parametrize("late", [None, 3600.0])
def test_with_a_network_the_next_try_may_do(
    traffic: Traffic, reason: Reason, late: float | None
) -> None:
    """But where nothing was asked for, or the URL policy would refuse it again."""
    assert cause(Facts(1, late=late, traffic=traffic), "E: no", "E: no")[0] is reason


def test_a_limit_that_the_image_met_is_no_servers_fault() -> None:
    facts = Facts(1, grown="16.0 GiB", traffic=Traffic(asked=3))
    assert cause(facts, "", "")[0] is Reason.CUSTOMIZE_FAILED


def test_what_the_network_had_to_do_with_it() -> None:
    traffic = Traffic(3, ("token-1234.test has the address 10.0.0.1",), ("b: refused", "c: late"))
    assert asked_for(traffic, hide=False) == (
        "refused: token-1234.test has the address 10.0.0.1; not reached: b: refused; c: late"
    )
    # A program of the image chose the names, and may have made them of the Secret.
    hidden = asked_for(traffic, hide=True)
    assert "1234" not in hidden
    assert "servers were refused, which are not shown, since a step has a Secret" in hidden
    assert asked_for(Traffic(asked=3), hide=False) == ""


def test_what_looks_for_the_network_is_told_how_there_is_one() -> None:
    why = "Temporary failure resolving 'mirror.example.org'"
    assert "set spec.customize.network to true" in failure(REQUEST, [None], why).message
    assert "network" not in failure(REQUEST, [None], "no").message
    networked = model.Customize(steps=STEPS, network=True)
    told = failure(networked, [None], why).message
    assert "by the proxy that the variables http_proxy and https_proxy name" in told
    assert "to true" not in told


def test_all_steps_that_succeeded_are_told() -> None:
    results = succeeded(REQUEST, [1.0, 2.04, 3.0])
    assert [(each.step, each.seconds) for each in results] == [
        ("hostnameReset", 1.0),
        ("run", 2.0),
        ("update", 3.0),
    ]


def test_last_words_are_plain_bounded_and_the_last() -> None:
    said = "".join(f"line {number} \x1b[31mred\x07\n" for number in range(1000))
    told = last_words(f"{said}virt-customize: error: exit 3\n\nIf reporting bugs, run ...\n")
    assert told.endswith("virt-customize: error: exit 3")
    assert "\x1b" not in told
    assert "line 999" in told
    assert "line 900 " not in told
    assert len(last_words("x" * 100_000).encode()) <= MOST_BYTES


def test_what_earlier_scripts_wrote_is_left_out() -> None:
    assert last_words("earlier\ncloudimage: a script begins\nE: no\n") == "E: no"


@pytest.mark.parametrize(
    "said",
    [
        "login with hunter2secret refused",
        "+ curl -H 'X-Token: hunter2secret'",
        "virt-customize: error: hunter2secret",
    ],
)
def test_with_a_secret_nothing_of_the_image_is_shown(said: str) -> None:
    """Parts of it, in whatever form, are not told from other words."""
    own = "virt-customize: error: exec /.cloudimage-1: command exited with an error"
    told = last_words(f"{said}\n{own}\n\nIf reporting bugs, run ...\n", hide=True)
    assert told.startswith(f"{own}; what the image's programs wrote is not shown, since")
    assert "hunter2" not in told


def test_all_steps_were_done_and_then_something_else_failed() -> None:
    error = failure(REQUEST, [1.0, 2.0, 3.0], "virt-sparsify: error: no")
    assert {each.result for each in error.customize} == {"Succeeded"}
    assert error.message == (
        "all steps of spec.customize were done, but then: virt-sparsify: error: no"
    )


CLOSED = "virt-customize: error: libguestfs error: appliance closed the connection unexpectedly."


@pytest.mark.parametrize(
    ("facts", "reason", "said"),
    [
        (Facts(1), Reason.INTERRUPTED, "the virtual machine ended unexpectedly, as it does"),
        (Facts(1, full=True), Reason.INSUFFICIENT_SCRATCH, "the scratch became full; "),
        (Facts(-9, late=3600.0, full=True), Reason.INSUFFICIENT_SCRATCH, "the scratch became full"),
        (Facts(1, out_of_memory=True), Reason.INTERRUPTED, "customize.resources.limits.memory"),
        (Facts(1, grown="16.0 GiB"), Reason.CUSTOMIZE_FAILED, "the image grew by over 16.0 GiB, "),
        (Facts(1, cpu=3600), Reason.CUSTOMIZE_FAILED, "it used up its CPU time of 3600 s; "),
        (Facts(-9, late=3600.0), Reason.CUSTOMIZE_FAILED, "it took over 3600 s and was ended"),
        (Facts(-11), Reason.CUSTOMIZE_FAILED, "it was ended by signal 11"),
    ],
)
def test_a_limit_that_was_met_is_named(facts: Facts, reason: Reason, said: str) -> None:
    """A failure that may pass is also retried."""
    found, why = cause(facts, CLOSED, "words")
    assert (found, why.endswith("words")) == (reason, True)
    assert said in why


EXITED = (
    "virt-customize: error: echo 'cloudimage: a script begins'; exec /.cloudimage-0: command "
    "exited with an error\n\nIf reporting bugs, run virt-customize with debugging enabled and "
    "include the complete output:\n\n  virt-customize -v -x [...]\n"
)


def test_a_machine_that_went_while_a_script_ran() -> None:
    """virt-customize 1.48.2 has the same words for that as for a script that failed."""
    gone, why = cause(Facts(1), EXITED, "words")
    assert (gone, why.endswith("; words")) == (Reason.INTERRUPTED, True)
    assert cause(Facts(1, cpu=60), EXITED, "words")[1].startswith("it used up its CPU time of 60 s")
    failed = f"cloudimage: a script begins\n{EXITED}"
    assert cause(Facts(1), failed, "words") == (Reason.CUSTOMIZE_FAILED, "words")


def test_cpu_time_is_not_blamed_for_what_a_step_says() -> None:
    assert cause(Facts(1, cpu=3600), "E: no", "E: no") == (Reason.CUSTOMIZE_FAILED, "E: no")
