"""The user-data of a server of a boot test: a script that reports on the console; pure."""

import re
from importlib import resources
from typing import Final

USER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}")
"""Names of users that it takes."""

TOKEN: Final = re.compile(r"[0-9a-f]{32}")


def user_data(token: str, os_type: str | None, user: str | None = None) -> bytes:
    """Return the script that cloud-init runs, or cloudbase-init on Windows.

    It needs no network. It goes on for an hour, and lets cloud-init finish.

    Args:
        token: What its reports are signed with: 32 hexadecimal digits.
        os_type: Glance's property of the image: ``windows``, or another or None.
        user: Whose keys to report; None: of all users who can log in.

    Raises:
        ValueError: The token or the user's name is not one.
    """
    if not TOKEN.fullmatch(token):
        raise ValueError("the token is not 32 hexadecimal digits")
    if user is not None and not USER.fullmatch(user):
        raise ValueError(f"{user!r} is not a user's name")
    if os_type == "windows":
        head, script = f"#ps1_sysnative\n$token = '{token}'\n$user = '{user or ''}'\n", "report.ps1"
    else:
        head, script = f"#!/bin/sh\ntoken={token}\nuser={user or ''}\n", "report.sh"
    return head.encode() + resources.files(__package__).joinpath(script).read_bytes()
