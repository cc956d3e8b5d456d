"""What the rules want to know of a guest: gathered from its files, for a pure look at it."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from cloudimage.transfer.lint.grub import Entry
from cloudimage.transfer.lint.roots import Root

AGENTS: Final = (
    "/usr/bin/cloud-init",
    "/usr/local/bin/cloud-init",
    "/usr/bin/ignition",
    "/usr/lib/dracut/modules.d/30ignition/ignition",
    "/usr/bin/afterburn",
    "/usr/bin/tiny-cloud",
    "/sbin/tiny-cloud",
    "/sbin/cirros-apply",
    "/usr/sbin/cloud-init",
    "/usr/bin/glean",
    "/usr/local/bin/glean",
)
"""Programs that take a server's key and user data: cloud-init, and what others have instead."""

_DISABLING: Final = ("/etc/cloud/cloud-init.disabled",)

GROWERS: Final = (
    "/usr/bin/growpart",
    "/usr/local/bin/growpart",
    "/sbin/growpart",
    "/usr/sbin/growpart",
    "/usr/share/initramfs-tools/hooks/growroot",
    "/usr/libexec/coreos-growpart",
    "/usr/libexec/ignition-ostree-growfs",
    "/usr/sbin/ignition-ostree-growfs",
    *("/lib/tiny-cloud/init-early", "/lib/tiny-cloud/init", "/sbin/tiny-cloud"),  # by sfdisk
)
"""Programs that let the root partition have the flavor's disk."""

REPART: Final = "/usr/bin/systemd-repart"
_REPART_FOLDERS: Final = ("/etc/repart.d", "/usr/lib/repart.d")
_GROWING_MODULES: Final = re.compile(r"\d\d(?:.*growroot|kiwi-repart|.*growpart)")
_DRACUT: Final = "/usr/lib/dracut/modules.d"

MACHINE_IDS: Final = ("/etc/machine-id", "/var/lib/dbus/machine-id")

_HOST_KEYS: Final = {
    "/etc/ssh": re.compile(r"ssh_host_.*key"),
    "/etc/dropbear": re.compile(r"dropbear_.*_host_key"),
}
_KEY_FILES: Final = ("authorized_keys", "authorized_keys2")
_OTHER_KEY_FILES: Final = ("/etc/dropbear/authorized_keys",)
_HISTORY: Final = re.compile(r"\.(?:\w+_)?history")
_NO_LOG: Final = frozenset({"lastlog", "faillog", "tallylog", "README"})
"""Tables with a place for each user, and what explains the folder."""
GROWING: Final = frozenset({*GROWERS, REPART, *_REPART_FOLDERS, _DRACUT})
"""All that is looked at for what lets the root partition grow."""

_LOGS: Final = "/var/log"
_LOG_DEPTH: Final = 3
_MOST_FOLDERS: Final = 64
_MOST_HOMES: Final = 64

Folders = Mapping[str, tuple[Entry, ...]]
"""What is in folders, by their paths."""


@dataclass(frozen=True, slots=True)
class Password:
    """The field of a user's password in a file."""

    path: str
    user: str
    field: str


@dataclass(frozen=True, slots=True)
class System:
    """A guest as its files have it.

    Attributes:
        release: Its os-release.
        is_partitioned: Whether its root is a partition, and not the disk as a whole.
        agents: Which of ``AGENTS`` there are.
        growers: What enlarges its root partition.
        passwords: Of all users.
        keys: Number of keys that let in, by file.
        host_keys: Files with private keys of SSH servers.
        machine_ids: What the files have that are to have none, by path.
        logs: Files that something was written to.
        histories: The same, of shells.
        cut: Files that are larger than what is read of them.
        unreadable: Why files and folders cannot be read, by path.
        disabled: Files that keep cloud-init from running.
    """

    release: Mapping[str, str]
    is_partitioned: bool
    agents: tuple[str, ...] = ()
    growers: tuple[str, ...] = ()
    passwords: tuple[Password, ...] = ()
    keys: Mapping[str, int] = field(default_factory=dict)
    host_keys: tuple[str, ...] = ()
    machine_ids: Mapping[str, str] = field(default_factory=dict)
    logs: tuple[str, ...] = ()
    histories: tuple[str, ...] = ()
    cut: tuple[str, ...] = ()
    unreadable: Mapping[str, str] = field(default_factory=dict)
    disabled: tuple[str, ...] = ()


def gather(root: Root) -> System:
    """Return what there is of a guest, and what of it cannot be read.

    Raises:
        TransferError: The program that reads it is missing, or takes too long.
    """
    accounts = list(_fields(root, "/etc/passwd"))
    homes = _homes(root, accounts)
    folders = root.listings(
        [*homes, *(f"{home}/.ssh" for home in homes), *_HOST_KEYS, *_REPART_FOLDERS, _DRACUT]
    )
    passwords = [*_passwords(root, "/etc/shadow"), *_of_passwd(accounts)]
    agents = next(((each,) for each in AGENTS if root.has(each)), ())
    found = {path: root.read(path) for path in MACHINE_IDS}
    logs = tuple(_logs(root))
    disabled = tuple(filter(root.has, _DISABLING))
    return System(
        release=root.release,
        is_partitioned="," in root.place.device,
        agents=agents,
        growers=_growers(root, folders),
        passwords=tuple(passwords),
        keys=dict(_keys(root, homes, folders)),
        host_keys=tuple(_host_keys(folders)),
        machine_ids={path: text for path, text in found.items() if text is not None},
        logs=logs,
        histories=tuple(_histories(homes, folders)),
        cut=tuple(dict.fromkeys(root.cut)),
        unreadable=root.unreadable,
        disabled=disabled,
    )


def _fields(root: Root, path: str) -> Iterator[list[str]]:
    """Yield the lines of a file such as passwd(5), cut at their colons."""
    for line in (root.read(path) or "").split("\n"):
        fields = line.split(":")
        if len(fields) > 1 and fields[0] and not line.startswith(("#", "+", "-")):
            yield fields


def _passwords(root: Root, path: str) -> Iterator[Password]:
    for user, password, *_ in _fields(root, path):
        yield Password(path, user, password)


def _of_passwd(accounts: Iterable[list[str]]) -> Iterator[Password]:
    """Yield the passwords that are not elsewhere, as ``x`` says."""
    for user, password, *_ in accounts:
        if password != "x":  # noqa: S105 - says that it is in shadow(5)
            yield Password("/etc/passwd", user, password)


def _homes(root: Root, accounts: Iterable[list[str]]) -> tuple[str, ...]:
    """Return the homes of the users, and what else looks like one."""
    of_users = [each[5].rstrip("/") for each in accounts if len(each) > 5]  # noqa: PLR2004 - the fields of passwd(5)
    others = [f"/home/{each.name}" for each in root.listings(["/home"])["/home"]]
    homes = dict.fromkeys(["/root", *of_users, *others])
    return tuple(each for each in homes if each.startswith("/"))[:_MOST_HOMES]


def _growers(root: Root, folders: Folders) -> tuple[str, ...]:
    for path in GROWERS:
        if root.has(path):
            return (path,)
    if any(folders[each] for each in _REPART_FOLDERS) and root.has(REPART):
        return (REPART,)
    names = (each.name for each in folders[_DRACUT])
    return tuple(f"{_DRACUT}/{name}" for name in names if _GROWING_MODULES.fullmatch(name))[:1]


def _keys(root: Root, homes: Iterable[str], folders: Folders) -> Iterator[tuple[str, int]]:
    files = [
        f"{home}/.ssh/{each.name}"
        for home in homes
        for each in folders[f"{home}/.ssh"]
        if each.size and each.name in _KEY_FILES
    ]
    for path in (*files, *_OTHER_KEY_FILES):
        lines = map(str.strip, (root.read(path) or "").splitlines())
        if count := sum(1 for line in lines if line and not line.startswith("#")):
            yield path, count


def _host_keys(folders: Folders) -> Iterator[str]:
    for folder, names in _HOST_KEYS.items():
        for each in folders[folder]:
            if each.size and names.fullmatch(each.name):
                yield f"{folder}/{each.name}"


def _histories(homes: Iterable[str], folders: Folders) -> Iterator[str]:
    for home in homes:
        for each in folders[home]:
            if each.size and _HISTORY.fullmatch(each.name):
                yield f"{home}/{each.name}"


def _logs(root: Root) -> Iterator[str]:
    """Yield the files below the folder of logs that have anything in them."""
    folders = [_LOGS]
    for _ in range(_LOG_DEPTH):
        listed = root.listings(folders[:_MOST_FOLDERS])
        found = [(f"{folder}/{each.name}", each) for folder in listed for each in listed[folder]]
        yield from (path for path, each in found if each.size and each.name not in _NO_LOG)
        folders = [path for path, each in found if each.size is None]
