"""What an image for a cloud must have, and must not; pure.

By OpenStack's Virtual Machine Image Guide (https://docs.openstack.org/image-guide/), whose
requirements are cloud-init, a root partition that grows and access by key alone, by systemd's
"Safely Building Images" (https://systemd.io/BUILDING_IMAGES) for the machine id, and by what
virt-sysprep(1) removes.
"""

import re
from collections.abc import Iterator
from typing import Final

from cloudimage.transfer.findings import Finding, Rule
from cloudimage.transfer.lint.system import (
    AGENTS,
    GROWERS,
    GROWING,
    MACHINE_IDS,
    Password,
    System,
)

_HASH: Final = re.compile(r"\$[^:]+|_[./0-9A-Za-z]{19}|[./0-9A-Za-z]{13}")
"""What crypt(5) makes of a password: with a prefix, BSDi's, and the traditional one."""
_LOCKED_HASH: Final = re.compile(r"[!*]+\$[^:]+")
"""The first alone: words stand behind a lock too, such as systemd's ``!unprovisioned``."""
_UNSET: Final = frozenset({"", "uninitialized"})  # machine-id(5)
_NAMED: Final = 3
_SUSES: Final = frozenset({"suse", "opensuse", "sles"})
_PACKAGES: Final = (
    (frozenset({"debian", "ubuntu"}), "cloud-guest-utils"),
    (frozenset({"fedora", "rhel", "centos", "alpine"}), "cloud-utils-growpart"),
    (_SUSES, "growpart"),
    (frozenset({"arch"}), "cloud-guest-utils"),
)
"""Where growpart is, by ``ID`` or ``ID_LIKE``."""


def findings(system: System) -> tuple[Finding, ...]:
    """Return all that the rules find."""
    return (
        *_passwords(system),
        *_keys(system),
        *_identity(system),
        *_programs(system),
        *_leftovers(system),
    )


def _passwords(system: System) -> Iterator[Finding]:
    for each in system.passwords:
        if not each.field:
            yield Finding.of(
                Rule.EMPTY_PASSWORD,
                each.path,
                f"the user {each.user} has an empty password, so that anybody can be that user; "
                f"lock it with passwd --lock {each.user}",
            )
        elif finding := _password(each):
            yield finding


def _password(password: Password) -> Finding | None:
    """Return the finding of a password that is not empty, if it is one."""
    lock = f"usermod --password '!' {password.user}"
    if _LOCKED_HASH.fullmatch(password.field):
        message = (
            f"the password of the user {password.user} is locked, but its hash is still there; "
            f"remove it with {lock}"
        )
    elif _HASH.fullmatch(password.field):
        message = (
            f"the user {password.user} has a password, the same in every server that is made from "
            f"the image; remove it with {lock}"
        )
    else:
        return None
    return Finding.of(Rule.PASSWORD, password.path, message)


def _keys(system: System) -> Iterator[Finding]:
    for path, count in system.keys.items():
        what = "a key lets its owner" if count == 1 else f"{count} keys let their owners"
        yield Finding.of(
            Rule.AUTHORIZED_KEY,
            path,
            f"{what} into every server that is made from the image; remove the file: cloud-init "
            "writes the key that a server is created with",
        )
    for path in system.host_keys:
        yield Finding.of(
            Rule.HOST_KEY,
            path,
            "all servers that are made from the image have this key, so that each can pass for "
            "another; remove it: it is made at the first boot",
        )


def _identity(system: System) -> Iterator[Finding]:
    told = {path: system.machine_ids.get(path, "").strip() for path in MACHINE_IDS}
    seen: set[str] = set()
    for path, text in told.items():
        if text not in _UNSET | seen:
            seen.add(text)  # the second file is usually a link to the first
            yield Finding.of(
                Rule.MACHINE_ID,
                path,
                "all servers that are made from the image have this id, and by it, for instance, "
                "the same address from DHCP; leave the file empty",
            )
    for path in system.cut:
        yield Finding.of(Rule.TOO_LARGE, path, "the file is too large to be read to its end")
    for path, why in system.unreadable.items():
        yield Finding.of(
            Rule.UNREADABLE, path, f"it cannot be read, so that what is in it is not known: {why}"
        )


def _programs(system: System) -> Iterator[Finding]:
    unknown = system.unreadable.keys()
    if not system.agents and not unknown & set(AGENTS):
        yield Finding.of(
            Rule.CLOUD_INIT,
            AGENTS[0],
            "neither cloud-init nor another program that takes a server's SSH key and user data "
            "is there, so that nobody can log in; install the package cloud-init",
        )
    for path in system.disabled:
        yield Finding.of(
            Rule.CLOUD_INIT, path, "this file keeps cloud-init from running; remove it"
        )
    if not system.growers and system.is_partitioned and not unknown & GROWING:
        yield Finding.of(
            Rule.GROWPART,
            GROWERS[0],
            "nothing enlarges the root partition to the disk of a server's flavor; install the "
            f"package {_growpart(system)}, or configure systemd-repart",
        )


def _growpart(system: System) -> str:
    """Return the package that has growpart in the guest's distribution."""
    like = {system.release.get("ID", ""), *system.release.get("ID_LIKE", "").split()}
    named = (package for ids, package in _PACKAGES if ids & like)
    return next(named, "cloud-utils-growpart or cloud-guest-utils")


def _leftovers(system: System) -> Iterator[Finding]:
    if system.logs:
        others = system.logs[1:_NAMED]
        more = len(system.logs) - 1 - len(others)
        also = f" (also {', '.join(others)}{f' and {more} more' if more else ''})" if others else ""
        yield Finding.of(
            Rule.LOGS,
            system.logs[0],
            f"logs of the machine on which the image was made{also}; empty them",
        )
    for path in system.histories:
        yield Finding.of(
            Rule.HISTORY, path, "commands that somebody typed, which may have secrets; remove it"
        )
