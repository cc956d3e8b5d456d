"""What steps become: arguments that nothing in a spec can leave, and marks that tell them apart."""

import json
import shlex
import subprocess
from pathlib import Path

import pytest

from cloudimage.transfer.contract import TransferError
from cloudimage.transfer.customize import model
from cloudimage.transfer.customize.translation import BEGINS, batches, check_lengths


def words(*steps: model.Step) -> tuple[str, ...]:
    (batch,) = batches(steps)
    return batch.words


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (model.InstallPackages(packages=("nginx", "curl")), ("--install", "nginx,curl")),
        (model.Update(), ("--update",)),
        (model.AppendLine(path="/etc/fstab", line="a:b c"), ("--append-line", "/etc/fstab:a:b c")),
        (model.Timezone(name="Europe/Berlin"), ("--timezone", "Europe/Berlin")),
        (model.HostnameReset(), ("--write", "/etc/hostname:localhost\n")),
        (model.SelinuxRelabel(), ("--selinux-relabel",)),
        (
            model.Run(files={"text": "true"}),
            (
                *("--upload", "files/0:/.cloudimage-0", "--chmod", "0700:/.cloudimage-0"),
                *("--run-command", f"echo '{BEGINS}'; exec /.cloudimage-0"),
                *("--delete", "/.cloudimage-0"),
            ),
        ),
    ],
)
def test_a_step_is_between_its_mark_and_the_next(
    step: model.Step, expected: tuple[str, ...]
) -> None:
    found = words(step)
    assert found[:2] == ("virt-customize", "--no-logfile")
    begin, end = found.index("/.cloudimage-step-0"), found.index("/.cloudimage-step-1")
    assert found[begin + 1 : end - 1][-len(expected) :] == expected


def test_a_script_is_a_file_and_no_argument() -> None:
    (batch,) = batches((model.Run(files={"text": "echo secret"}),))
    assert batch.files == {"files/0": "#!/bin/sh\necho secret"}
    assert not any("secret" in word for word in batch.words)
    (batch,) = batches((model.Run(files={"text": "#!/usr/bin/python3\nprint()"}),))
    assert batch.files["files/0"].startswith("#!/usr/bin/python3\n")


def test_a_file_is_uploaded_and_gets_mode_and_owner() -> None:
    step = model.WriteFile(path="/etc/a b", files={"text": "x"}, mode="0640", owner="root:adm")
    (batch,) = batches((step,))
    assert batch.words[4:6] == ("--mkdir", "/etc")
    assert batch.words[6] == "--run-command"
    assert batch.words[8:12] == ("--upload", "files/0:/etc/a b", "--chmod", "0640:/etc/a b")
    assert batch.files["files/0-owner"] == "#!/bin/sh\nexec chown -- root:adm '/etc/a b'\n"


@pytest.mark.parametrize(("mode", "told"), [("660", "0660"), ("0660", "0660"), ("000", "0000")])
def test_a_mode_is_octal(mode: str, told: str) -> None:
    step = model.WriteFile(path="/etc/key", files={"text": "x"}, mode=mode)
    assert f"{told}:/etc/key" in words(step)


def test_each_key_is_a_file() -> None:
    step = model.CopyIn(directory="/etc/x", mode="0600", files={"b.conf": "B", "a.conf": "A"})
    (batch,) = batches((step,))
    owning = "#!/bin/sh\nexec chown -- 0:0 /etc/x/a.conf /etc/x/b.conf\n"
    assert batch.files == {"files/0-0": "A", "files/0-1": "B", "files/0-owner": owning}
    assert "files/0-1:/etc/x/b.conf" in batch.words
    assert "0600:/etc/x/b.conf" in batch.words


def test_no_name_of_a_unit_becomes_an_option_or_a_command() -> None:
    (batch,) = batches((model.EnableServices(units=("a@b.service", "--root=/; reboot")),))
    last = batch.files["files/0"].splitlines()[-1]
    enabled = ["exec", "systemctl", "enable", "--", "a@b.service", "--root=/; reboot"]
    assert shlex.split(last) == enabled


def test_sysprep_begins_a_run_and_the_last_run_finishes_the_image() -> None:
    steps = (
        model.Update(),
        model.Sysprep(operations=("ssh-hostkeys", "logfiles")),
        model.HostnameReset(),
        model.Sysprep(operations=("tmp-files",)),
    )
    found = batches(steps)
    assert [(each.first, each.count) for each in found] == [(0, 1), (1, 2), (3, 1)]
    assert found[1].words[:3] == ("virt-sysprep", "--operations", "customize,logfiles,ssh-hostkeys")
    assert ["/var/lib/dbus/machine-id" in each.words for each in found] == [False, False, True]


def test_steps_with_many_words_take_more_runs() -> None:
    steps = tuple(model.AppendLine(path="/etc/x", line="x" * 4000) for _ in range(32))
    found = batches(steps)
    assert sum(each.count for each in found) == 32
    assert len(found) == 3
    assert all(len(json.dumps(each.words)) < 56 * 2**10 for each in found)
    assert ["/var/lib/dbus/machine-id" in each.words for each in found] == [False, False, True]


def test_a_step_with_too_many_words_is_refused() -> None:
    files = {f"{number:03}-{'k' * 100}": "" for number in range(400)}
    step = model.CopyIn(directory="/etc/x", mode="0600", files=files)
    with pytest.raises(TransferError, match=r"^step 2 .* has too many files"):
        check_lengths((model.Update(), step))


@pytest.mark.parametrize("steps", [1, 2])
def test_a_folder_is_no_file_to_write(tmp_path: Path, steps: int) -> None:
    """By the command itself, in a shell here."""
    (tmp_path / "a folder").mkdir()
    names = ("new", "a folder")[:steps]
    step = model.CopyIn(directory=str(tmp_path), mode="0600", files=dict.fromkeys(names, ""))
    found = words(step)
    command = found[found.index("--run-command") + 1]
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == ((0, ""), (1, "a folder is a folder\n"))[steps - 1]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("5b1f0fdc1c7b4f1a8f0a6c2f35f2a0d1\n", ""),
        ("5b1f0fdc1c7b4f1a8f0a6c2f35f2a0d1", ""),
        ("5b1f0fdc1c7b4f1a8f0a6c2f35f2a0d1\nuninitialized\n", ""),
        ("uninitialized\n", "uninitialized\n"),
        ("", ""),
    ],
)
def test_no_id_of_a_machine_is_left(before: str, after: str) -> None:
    """By the expression itself, as virt-customize has Perl do it."""
    found = words(model.Update())
    edit = found[found.index("--edit") + 1].partition(":")[2]
    command = ["/usr/bin/perl", "-pe", edit]
    done = subprocess.run(command, input=before, capture_output=True, text=True, check=True)
    assert done.stdout == after


def test_a_failure_after_the_last_step_is_the_labels() -> None:
    """virt-customize labels the files once all else is done, whatever the order of its options."""
    (batch,) = batches((model.HostnameReset(), model.SelinuxRelabel()))
    lines = [f"[  2{number}.0] Deleting: /.cloudimage-step-{number}" for number in range(3)]
    assert batch.seconds(lines) == [1.0, 1.0]
    assert batch.seconds(lines, failed=True) == [1.0, None]
    (other,) = batches((model.HostnameReset(), model.Update()))
    assert other.seconds(lines, failed=True) == [1.0, 1.0]


STEPS = (model.Update(), model.HostnameReset(), model.Timezone(name="UTC"))


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], []),
        (["[   0.0] Examining the guest ..."], []),
        (["[  20.0] Deleting: /.cloudimage-step-0"], [None]),
        (
            ["[  20.0] Deleting: /.cloudimage-step-0", "[  24.5] Deleting: /.cloudimage-step-1"],
            [4.5, None],
        ),
        (
            [
                *("[  20.0] Deleting: /.cloudimage-step-0", "noise"),
                *("[  20.5] Deleting: /.cloudimage-step-1", "[  20.5] Setting the hostname"),
                *("[  21.0] Deleting: /.cloudimage-step-2", "[ 121.0] Deleting: /etc/x"),
                "[ 122.0] Deleting: /.cloudimage-step-3",
            ],
            [0.5, 0.5, 101.0],
        ),
    ],
)
def test_marks_tell_how_long_each_step_took(lines: list[str], expected: list[float | None]) -> None:
    (batch,) = batches(STEPS)
    assert batch.seconds(lines) == expected


def test_sysprep_itself_is_known_by_its_own_words() -> None:
    (batch,) = batches((model.Sysprep(operations=("logfiles",)), model.HostnameReset()))
    lines = ['[  20.0] Performing "logfiles" ...', '[  21.0] Performing "customize" ...']
    assert batch.seconds(lines) == [None]
    assert batch.seconds([*lines, "[  22.0] Deleting: /.cloudimage-step-1"]) == [2.0, None]
