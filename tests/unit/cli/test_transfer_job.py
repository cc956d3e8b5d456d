"""How a Job's pod ends: its termination message, and what it says of a scratch of no use."""

import os
from contextlib import ExitStack
from pathlib import Path

import pytest

from cloudimage.cli import transfer_job
from cloudimage.transfer.contract import (
    Failure,
    Reason,
    Result,
    SourceInfo,
    Stage,
    TransferError,
)
from cloudimage.transfer.findings import Finding, LintResult, Rule
from support.resources import SHA256


@pytest.mark.parametrize("text", ["short", "x" * 9000, "\N{PILE OF POO}" * 3000, "\0" * 3000])
def test_last_words_fit_and_stay_an_event(text: str) -> None:
    failure = Failure(reason=Reason.UPLOAD_FAILED, message=text, stage=Stage.UPLOADING)
    written = transfer_job.termination_message(failure)
    assert len(written.encode()) <= transfer_job.TERMINATION_MESSAGE_BYTES
    read = Failure.model_validate_json(written)
    assert read.reason is Reason.UPLOAD_FAILED
    assert text.startswith(read.message)
    assert len(read.message) >= min(len(text), 400)


def result(*warnings: str, lint: LintResult | None = None) -> Result:
    """Return the result of a transfer that had something to say."""
    return Result(
        image_id="id",
        disk_format="raw",
        size=1,
        virtual_size=1,
        hash_algo="sha512",
        hash_value="ab" * 64,
        source=SourceInfo(
            format="raw", size=1, actual_size=1, virtual_size=1, checksums={"sha256": SHA256}
        ),
        warnings=warnings,
        lint=lint,
    )


def test_a_result_keeps_all_but_its_sentences() -> None:
    written = transfer_job.termination_message(result("w" * 5000))
    assert Result.model_validate_json(written) == result()


def test_last_words_leave_out_sentences_before_findings() -> None:
    found = tuple(Finding.of(Rule.HOST_KEY, f"/etc/ssh/{number}", "m" * 60) for number in range(9))
    lint = LintResult.of(found, "Debian")
    written = transfer_job.termination_message(result("w" * 3000, lint=lint))
    assert Result.model_validate_json(written) == result(lint=lint)


def test_last_words_keep_the_worst_findings() -> None:
    found = tuple(
        Finding.of(Rule.HOST_KEY, f"/etc/ssh/{number}{'p' * 200}", "m" * 400)
        for number in range(40)
    )
    lint = LintResult.of(found, "Debian")
    failure = Failure(
        reason=Reason.LINT_FAILED, message=lint.message, stage=Stage.INSPECTING, lint=lint
    )
    written = transfer_job.termination_message(failure)
    assert len(written.encode()) <= transfer_job.TERMINATION_MESSAGE_BYTES
    read = Failure.model_validate_json(written)
    assert read.message == failure.message
    assert read.lint is not None
    assert read.lint.findings == lint.findings[: len(read.lint.findings)] != ()
    assert len(read.lint.findings) + read.lint.more == 40


def test_a_shared_scratch_that_cannot_be_used_is_no_fault_of_ours(tmp_path: Path) -> None:
    with ExitStack() as stack, pytest.raises(TransferError) as caught:
        transfer_job._own_folder(tmp_path / "missing", stack)
    assert caught.value.reason is Reason.INSUFFICIENT_SCRATCH
    wanted = f"must have room, and be writable by group {os.getgid()}"
    assert f"No such file or directory. Its PersistentVolumeClaim {wanted}" in caught.value.message
