"""What a server of a boot test gets as its user-data."""

import pytest

from cloudimage.guest.user_data import user_data

TOKEN = "0123456789abcdef0123456789abcdef"
NOVAS_LIMIT = 65535
"""Bytes of its base64 (Nova's API reference, ``user_data``)."""


@pytest.mark.parametrize(
    ("os_type", "begins"),
    [(None, b"#!/bin/sh\n"), ("linux", b"#!/bin/sh\n"), ("windows", b"#ps1_sysnative\n")],
)
def test_the_kind_of_system_decides_on_the_script(os_type: str | None, begins: bytes) -> None:
    data = user_data(TOKEN, os_type, "debian")
    assert data.startswith(begins)
    assert TOKEN.encode() in data
    assert data.isascii()
    assert len(data) * 4 / 3 < NOVAS_LIMIT / 2


@pytest.mark.parametrize("user", ["", "a b", "$(reboot)", "x\nreboot", "a'b", "-rf", "é", "x" * 33])
def test_a_name_that_a_shell_would_read_otherwise_is_refused(user: str) -> None:
    with pytest.raises(ValueError, match="user's name"):
        user_data(TOKEN, None, user)


@pytest.mark.parametrize("token", ["", "x" * 32, TOKEN.upper(), f"{TOKEN}\n", TOKEN[1:]])
def test_a_token_that_is_none_is_refused(token: str) -> None:
    with pytest.raises(ValueError, match="token"):
        user_data(token, None)
