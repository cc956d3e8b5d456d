"""What steps become: arguments that nothing in a spec can leave, and marks that tell them apart."""

import shlex

import pytest

from cloudimage.transfer.customize import model
from cloudimage.transfer.customize.translation import BEGINS, batches


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
        (model.HostnameReset(), ("--hostname", "localhost")),
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
    assert batch.words[6:10] == ("--upload", "files/0:/etc/a b", "--chmod", "0640:/etc/a b")
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
    assert ["/etc/machine-id:" in each.words for each in found] == [False, False, True]


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
