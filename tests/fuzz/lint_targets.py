"""What is fuzzed of looks into images: what a guest's files, and GRUB's listings of them, say."""

from typing import TYPE_CHECKING, cast

from cloudimage.transfer.contract import TransferError
from cloudimage.transfer.findings import LintResult
from cloudimage.transfer.lint.grub import Disk, UnreadableError
from cloudimage.transfer.lint.roots import find_root
from cloudimage.transfer.lint.rules import findings
from cloudimage.transfer.lint.system import gather
from fuzz.oci_targets import Target

if TYPE_CHECKING:
    from cloudimage.transfer.tools.toolbox import Toolbox

_DEVICE = b"Device proc: Filesystem type procfs - Sector size 512B - Total size 0KiB\n"
_VOLUMES = b"Device loop0: Filesystem type ext* - Label `%s', UUID %s - Sector size 512B\n"


class _Guest:
    """Answers in place of grub-fstest: every file and every folder has the same bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def run(self, *command: str) -> bytes:
        if command[-2:] == ("ls", "-l"):
            return _VOLUMES % (self._data[:32], self._data[32:64]) + self._data
        if "cat" in command:
            return self._data
        return (self._data + _DEVICE) * command.count("(proc)")


def guest(data: bytes) -> TransferError | None:
    """A guest: nothing is read but its own devices, and each finding is one plain, short line."""
    disk = Disk("disk", cast("Toolbox", _Guest(data)))
    try:
        volumes = disk.volumes()
        assert all(each.device.startswith(("loop0", "lvm/", "md/")) for each in volumes)
        root = find_root(disk, volumes)
        if root is None:
            return None
        found = findings(gather(root))
    except UnreadableError:
        return None
    result = LintResult.of(found, root.release.get("PRETTY_NAME", ""))
    assert LintResult.model_validate_json(result.model_dump_json()) == result
    assert result.message.isprintable()
    for each in result.findings:
        assert each.path.isprintable()
        assert each.message.isprintable()
        assert len(each.message) <= 320
    return None


LINT_TARGETS: dict[str, Target] = {"guest": guest}
