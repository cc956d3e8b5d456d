"""What a server of a boot test says on its console; pure.

A console is hostile: it may have anything, of any length, in any order. Lines of the report are
often cut by lines of the kernel, so the script prints it again every few seconds, each time with
the SHA-256 of a SHA-256 that only who has the token can make.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv6Interface, ip_interface
from typing import Final

from cloudimage.guest.keys import fingerprint
from cloudimage.plaintext import plain_terminal

MOST: Final = 2**20
"""Characters of a console that are looked at, from its end; Nova gives some 100 KiB."""

_MARK: Final = "cloudimage-report/1 "
_END: Final = re.compile(r"signature=[0-9a-f]{0,64}$")
_LINE: Final = re.compile(r"([A-Za-z0-9.:/%_+@=, -]{1,8192}) signature=([0-9a-f]{64})(?![0-9a-f])")
_SECONDS: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,6})?")
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_TAIL: Final = 2**16
_ELLIPSIS: Final = "\u2026"


@dataclass(frozen=True, slots=True)
class GuestReport:
    """What the guest sees.

    Attributes:
        seconds: Since its first report.
        uptime: Seconds since its kernel started.
        addresses: Without loopback and link-local ones, in the order of the interfaces.
        interfaces: Their names, without loopback.
        routes: The default routes: "gateway dev interface".
        keys: For each user who can log in, the fingerprints of the keys that let this user in:
            those for a forced command do not.
        host_keys: Fingerprints of the SSH server's keys.
        kernel: Name and release.
        cloud_init: What ``cloud-init status`` says; empty: there is no cloud-init, or it is about
            to be asked.
    """

    seconds: float
    uptime: float
    addresses: tuple[IPv4Interface | IPv6Interface, ...] = ()
    interfaces: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    host_keys: tuple[str, ...] = ()
    kernel: str = ""
    cloud_init: str = ""


def newest_report(console: str, token: str) -> GuestReport | None:
    """Return the latest report that was signed with the token, or None.

    Latest is by the guest's uptime, wherever in the text it is.

    Args:
        console: What the console has shown.
        token: The one of the user-data.
    """
    reports = [
        report
        for piece in console[-MOST:].split(_MARK)[1:]
        if (body := _signed(piece, token)) and (report := _parsed(body))
    ]
    return max(reports, key=lambda report: report.uptime, default=None)


def signature(body: str, token: str) -> str:
    """Return what the script signs a line with."""
    return _hash_of(f"{token}:{_hash_of(f'{token}:{body}')}")


def console_tail(console: str, lines: int = 20, characters: int = 1500) -> str:
    """Return the end of what a console shows, fit for a message; without reports."""
    shown = plain_terminal(console[-_TAIL:]).split("\n")
    kept = [line.rstrip() for line in shown if line.strip() and not _is_report(line)]
    text = "\n".join(kept[-lines:])
    return text if len(text) <= characters else _ELLIPSIS + text[1 - characters :]


def _is_report(line: str) -> bool:
    """Return whether a line is of a report, perhaps one whose start is missing."""
    return _MARK in line or _END.search(line) is not None


def _signed(piece: str, token: str) -> str | None:
    """Return the body that a text begins with, if it has the right signature."""
    found = _LINE.match(piece)
    if found is None or not hmac.compare_digest(found[2], signature(found[1], token)):
        return None
    return found[1]


def _parsed(body: str) -> GuestReport | None:
    """Return what a body says, without what cannot be; None: it does not even say when it was."""
    fields = dict(word.partition("=")[::2] for word in body.split(" "))
    seconds, uptime = fields.get("seconds", ""), fields.get("uptime", "")
    if not (_SECONDS.fullmatch(seconds) and _SECONDS.fullmatch(uptime)):
        return None
    addresses = (_address(item) for item in _items(fields, "addresses"))
    host_keys = (_fingerprint(item) for item in _items(fields, "hostkeys"))
    return GuestReport(
        seconds=float(seconds),
        uptime=float(uptime),
        addresses=tuple(filter(None, addresses)),
        interfaces=_items(fields, "interfaces"),
        routes=tuple(item.replace("%", " dev ") for item in _items(fields, "routes")),
        keys=_keys(_items(fields, "keys")),
        host_keys=tuple(filter(None, host_keys)),
        kernel=fields.get("kernel", "").strip(",").replace("/", " ", 1),
        cloud_init=fields.get("cloudinit", "").strip(",").replace("_", " "),
    )


def _items(fields: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(filter(None, fields.get(name, "").split(",")))


def _address(item: str) -> IPv4Interface | IPv6Interface | None:
    """Return ADDRESS/PREFIX%INTERFACE; the prefix may be a mask, as of ifconfig."""
    address, _, prefix = item.partition("%")[0].partition("/")
    try:
        if prefix.startswith("0x"):  # FreeBSD's: 0xffffff00
            prefix = str(IPv4Address(int(prefix, 16)))
        found = ip_interface(f"{address}/{prefix}" if prefix else address)
    except ValueError:
        return None
    return None if found.ip.is_link_local or found.ip.is_loopback else found


def _keys(items: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    keys: dict[str, tuple[str, ...]] = {}
    for item in items:
        user, _, hexadecimal = item.rpartition(":")
        if user and (key := _fingerprint(hexadecimal)):
            keys[user] = (*keys.get(user, ()), key)
    return keys


def _fingerprint(hexadecimal: str) -> str | None:
    """Return OpenSSH's form of a SHA-256, which the script can make in hexadecimal only."""
    if not _HASH.fullmatch(hexadecimal):
        return None
    return fingerprint(bytes.fromhex(hexadecimal))


def _hash_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
