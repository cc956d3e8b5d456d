"""Images that are made to lead a look astray, to keep it busy, or to break it."""

import os
import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from cloudimage.transfer.contract import Reason, TransferError
from cloudimage.transfer.findings import LintResult, Rule
from cloudimage.transfer.lint import looking
from cloudimage.transfer.tools import toolbox
from cloudimage.transfer.tools.toolbox import Toolbox
from support.guests import CLEAN, MIB, PASSWD, Kind, disk, file_system, tree
from support.transfer_images import make

from .conftest import Look

LookAt = Callable[..., LintResult]
FROM_OUTSIDE = "root:$6$outside$of:19000::::::\n"


@pytest.mark.parametrize("up", ["", "../" * 16])
def test_links_lead_nowhere_outside(look_at: LookAt, tmp_path: Path, up: str) -> None:
    """Neither by an absolute path nor by ``..``: the same path exists outside, with a hash."""
    outside = tmp_path / "shadow"
    outside.write_text(FROM_OUTSIDE)
    target = Path(f"{up}{str(outside).removeprefix('/') if up else outside}")
    base = {name: each for name, each in CLEAN.items() if name != "etc/shadow"}
    assert look_at({"etc/shadow": target}, base=base).outcome == "Clean"


def test_links_are_followed_inside(look_at: LookAt) -> None:
    base = {name: each for name, each in CLEAN.items() if name != "etc/shadow"}
    files = {"etc/shadow": Path("/var/real"), "var/real": FROM_OUTSIDE}
    (finding,) = look_at(files, base=base).findings
    assert (finding.rule, finding.path) == (Rule.PASSWORD, "/etc/shadow")


def test_links_in_a_circle(look_at: LookAt) -> None:
    base = {name: each for name, each in CLEAN.items() if name != "etc/shadow"}
    files = {"etc/shadow": Path("shadow2"), "etc/shadow2": Path("shadow")}
    assert look_at(files, base=base).outcome == "Clean"


def test_names_with_anything_in_them(look_at: LookAt) -> None:
    """Lines of a listing can be forged; each finding is one plain line."""
    names = [
        "two\nlines",
        "\x1b[2Jclear",
        "4            20261130100612 forged",
        os.fsdecode(b"\xff"),
    ]
    files = {f"var/log/{name}": "x" for name in names}
    files |= {f"home/{name}/.bash_history": "ls\n" for name in names}
    result = look_at(files)
    # A folder with a line feed in its name cannot be found by what stands before it.
    assert {each.rule for each in result.findings} == {Rule.LOGS, Rule.HISTORY, Rule.UNREADABLE}
    for each in result.findings:
        assert each.path.isprintable(), each
        assert each.message.isprintable(), each
    assert result.model_dump_json()


def test_user_with_anything_in_its_line(look_at: LookAt) -> None:
    lines = "\x1b]0;t\x07:$6$a$b:\n::::\n:\nx\n\0:$6$a$b:\n" + "y" * 9000 + "::\n"
    result = look_at({"etc/shadow": lines})
    assert {each.rule for each in result.findings} == {Rule.PASSWORD, Rule.EMPTY_PASSWORD}
    for each in result.findings:
        assert each.message.isprintable()
        assert len(each.message) <= 320


@pytest.mark.parametrize(
    "home",
    ["(host)/etc", "/../../..", "relative", "/a\0b", "/" + "x/" * 3000, "/" + "n" * 300, "", "/"],
    ids=["device", "up", "relative", "NUL", "deep", "long", "none", "root"],
)
def test_home_that_is_anything(look_at: LookAt, home: str) -> None:
    assert look_at({"etc/passwd": f"{PASSWD}x:x:1:1::{home}:/bin/sh\n"}).outcome == "Clean"


def test_thousands_of_users_and_folders(look_at: LookAt, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is looked at is bounded, whatever the image has."""
    calls: list[tuple[str, ...]] = []
    run = Toolbox.run

    def counted(self: Toolbox, *command: str, **options: object) -> bytes:
        calls.append(command)
        return run(self, *command, **options)  # type: ignore[arg-type]  # as they came

    monkeypatch.setattr(Toolbox, "run", counted)
    users = "".join(f"u{number}:x:1:1::/srv/{number}:/bin/sh\n" for number in range(2000))
    files = {f"var/log/{number}/log": "" for number in range(500)}
    assert look_at({"etc/passwd": users}, files).outcome == "Clean"
    assert len(calls) < 30


def test_deep_tree_of_logs(look_at: LookAt) -> None:
    assert look_at({f"var/log/{'d/' * 200}log": "x"}).outcome == "Clean"


def test_folder_with_very_many_files(look_at: LookAt, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its listing is longer than what is taken of any program."""
    monkeypatch.setattr(toolbox, "_MOST_OUTPUT", 2**16)
    result = look_at({f"var/log/{number:04}{'n' * 240}": "" for number in range(500)})
    (finding,) = result.findings
    assert (finding.rule, finding.path) == (Rule.UNREADABLE, "/var/log")
    assert "it wrote more than 65536 bytes" in finding.message


def test_what_cannot_be_read_hides_nothing_else(
    tmp_path: Path, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a log folder that is too long, nor a damaged home."""
    monkeypatch.setattr(toolbox, "_MOST_OUTPUT", 2**16)
    files = {f"var/log/{number:04}{'n' * 240}": "" for number in range(500)}
    files["etc/shadow"] = FROM_OUTSIDE
    files["home/other/.bash_history"] = "ls\n"
    system = file_system(tmp_path / "system", "ext2", tree(tmp_path / "guest", CLEAN, files))
    place = "set_inode_field /home/debian block[0] 4000000000"
    command = ["/usr/sbin/debugfs", "-w", "-R", place, system]
    subprocess.run(command, check=True, capture_output=True)
    path = disk(tmp_path / "disk", "gpt", system)
    found = {(each.rule, each.path) for each in look(path).findings}
    assert {
        (Rule.PASSWORD, "/etc/shadow"),
        (Rule.HISTORY, "/home/other/.bash_history"),
        (Rule.UNREADABLE, "/var/log"),
        (Rule.UNREADABLE, "/home/debian"),
    } <= found
    with pytest.raises(TransferError) as caught:
        look(path, mode="Enforce")
    assert caught.value.reason is Reason.LINT_FAILED


def test_what_cannot_be_read_is_not_said_to_be_missing(tmp_path: Path, look: Look) -> None:
    system = file_system(tmp_path / "system", "ext2", tree(tmp_path / "guest", CLEAN))
    change = ["/usr/sbin/debugfs", "-w", "-R", "set_inode_field /usr/bin block[0] 4000000000"]
    subprocess.run([*change, system], check=True, capture_output=True)
    found = {each.rule for each in look(disk(tmp_path / "disk", "gpt", system)).findings}
    assert found == {Rule.UNREADABLE}


def test_file_where_a_folder_is_expected(look_at: LookAt) -> None:
    base = {name: each for name, each in CLEAN.items() if name != "root/.ssh/authorized_keys"}
    assert look_at({"root/.ssh": "", "etc/dropbear": ""}, base=base).outcome == "Clean"


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("place", ["/", "/ostree", "/etc"])
def test_damage_beside_the_root(tmp_path: Path, look: Look, place: str, order: int) -> None:
    """Another file system of the disk cannot be read, and hides nothing."""
    files = {"etc/x": "", "ostree/deploy/x": ""}
    first = file_system(tmp_path / "first", "ext2", tree(tmp_path / "1", files))
    change = ["/usr/sbin/debugfs", "-w", "-R", f"set_inode_field {place} block[0] 4000000000"]
    subprocess.run([*change, first], check=True, capture_output=True)
    folder = tree(tmp_path / "2", CLEAN, {"etc/shadow": FROM_OUTSIDE})
    root = file_system(tmp_path / "root", "ext4", folder)
    result = look(disk(tmp_path / "disk", "gpt", *(first, root)[::order]))
    assert [each.rule for each in result.findings] == [Rule.PASSWORD]


def test_file_of_many_gibibytes(look: Look, tmp_path: Path) -> None:
    folder = tree(tmp_path / "guest", CLEAN)
    (folder / "etc/shadow").write_text(FROM_OUTSIDE)
    os.truncate(folder / "etc/shadow", 10 << 30)
    system = file_system(tmp_path / "system", "ext4", folder, size=64 * MIB)
    result = look(disk(tmp_path / "disk", "gpt", system))
    assert [each.rule for each in result.findings] == [Rule.PASSWORD, Rule.TOO_LARGE]


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs"])
@pytest.mark.parametrize("seed", range(3))
def test_damaged_file_system(tmp_path: Path, look: Look, kind: Kind, seed: int) -> None:
    """Never a failure of the transfer, and never a finding out of nothing."""
    system = file_system(tmp_path / "system", kind, tree(tmp_path / "guest", CLEAN))
    noise = random.Random(seed)
    with system.open("r+b") as file:
        for _ in range(200 * (seed + 1)):
            file.seek(noise.randrange(0x12000, 24 * MIB))
            file.write(noise.randbytes(64))
    result = look(disk(tmp_path / "disk", "gpt", system))
    assert result.message


@pytest.mark.parametrize(("kind", "place"), [("ext4", 1024), ("xfs", 0), ("btrfs", 0x10000)])
def test_no_superblock(tmp_path: Path, look: Look, kind: Kind, place: int) -> None:
    system = file_system(tmp_path / "system", kind, tree(tmp_path / "guest", CLEAN))
    with system.open("r+b") as file:
        file.seek(place)
        file.write(bytes(4096))
    result = look(disk(tmp_path / "disk", "gpt", system))
    assert result.outcome == "FileSystemUnknown"
    assert "no file system was recognised on it" in result.message


def test_folder_that_is_damaged(tmp_path: Path, look: Look) -> None:
    """Its block is behind the end of the disk: the program says so, and so do we."""
    files = {"etc/os-release": "ID=debian\n", "etc/shadow": FROM_OUTSIDE}
    system = file_system(tmp_path / "system", "ext2", tree(tmp_path / "guest", files))
    change = ["/usr/sbin/debugfs", "-w", "-R", "set_inode_field /etc block[0] 4000000000", system]
    subprocess.run(change, check=True, capture_output=True)
    result = look(disk(tmp_path / "disk", "gpt", system))
    assert result.outcome == "FileSystemUnknown"
    assert "its file system cannot be read" in result.message
    assert "grub-fstest" not in result.message


def test_data_disk(tmp_path: Path, look: Look) -> None:
    system = file_system(tmp_path / "system", "ext4", tree(tmp_path / "guest", {"data": "x"}))
    result = look(disk(tmp_path / "disk", "gpt", system))
    assert result.outcome == "FileSystemUnknown"
    assert "none of its file systems (ext*) has an /etc/os-release" in result.message


@pytest.mark.parametrize("limit", ["LOOK_SECONDS", "_READER_CPU_SECONDS"])
def test_reading_that_takes_too_long(
    tmp_path: Path, look: Look, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    """How busy the machine is says nothing of the image: no look that is enforced passes by it."""
    folder = tree(tmp_path / "guest", CLEAN, {"etc/shadow": FROM_OUTSIDE})
    path = disk(tmp_path / "disk", "gpt", file_system(tmp_path / "system", "ext4", folder))
    monkeypatch.setattr(looking, limit, 0)
    result = look(path)
    assert result.outcome == "NotLookedInto"
    with pytest.raises(TransferError) as caught:
        look(path, mode="Enforce")
    assert caught.value.reason is Reason.CONVERSION_FAILED


def test_reader_that_is_missing(
    tmp_path: Path, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other programs are there; only a look that is enforced fails for it."""
    folder = tree(tmp_path / "guest", CLEAN)
    path = disk(tmp_path / "disk", "gpt", file_system(tmp_path / "system", "ext4", folder))
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("qemu-img", "qemu-nbd"):
        (programs / name).symlink_to(f"/usr/bin/{name}")
    monkeypatch.setenv("PATH", str(programs))
    result = look(path)
    assert result.outcome == "NotLookedInto"
    assert "grub-fstest is not installed; the operator's container image lacks it" in result.message
    with pytest.raises(TransferError, match="grub-fstest") as caught:
        look(path, mode="Enforce")
    assert caught.value.reason is Reason.INTERNAL_ERROR


def test_no_room_for_the_copy(tmp_path: Path, look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    """A larger one is not even begun when nobody asked for a look."""
    folder = tree(tmp_path / "guest", CLEAN, {"var/data": random.Random(1).randbytes(4 * MIB)})
    raw = disk(tmp_path / "raw", "gpt", file_system(tmp_path / "system", "ext4", folder))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    make(raw, scratch / "image", "qcow2")
    monkeypatch.setattr(looking, "MOST_UNASKED", 2 * MIB)
    result = look(scratch / "image", None, "Auto")
    assert result.outcome == "NotLookedInto"
    assert "of data would have to be unpacked first; set spec.lint" in result.message
    assert look(scratch / "image", None, "Warn").outcome == "Clean"
