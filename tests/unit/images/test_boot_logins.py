"""Logins by ssh beside the reconciles; what a login does is in ``tests/unit/guest``."""

import threading
from ipaddress import ip_address

import pytest

from cloudimage.access.policy import CloudPolicy
from cloudimage.guest.keys import throw_away_key
from cloudimage.guest.ssh import LoginError, UnreachedError
from cloudimage.images import boot_logins
from cloudimage.images.boot_logins import BootLogins, Target
from cloudimage.images.logic.boot_verdict import Login

TOKEN = "0" * 32
NOWHERE = Target((ip_address("192.0.2.1"),), "debian", ("SHA256:x",))


def logins() -> BootLogins:
    return BootLogins(1, CloudPolicy(deny_networks=("192.0.2.0/24",)))


def test_only_the_process_that_made_the_key_can_log_in() -> None:
    here = logins()
    assert here.view("uid", TOKEN) == (Login.KEY_LOST, "")
    here.keep("uid", TOKEN, throw_away_key("test"))
    assert here.view("uid", TOKEN) == (Login.NOT_BEGUN, "")
    assert here.view("uid", "1" * 32) == (Login.KEY_LOST, ""), "that of another server"
    here.forget("uid")
    assert here.view("uid", TOKEN) == (Login.KEY_LOST, "")
    here.stop()


def test_a_login_that_fails_says_why_and_has_the_object_looked_at() -> None:
    here, ended = logins(), threading.Event()
    here.keep("uid", TOKEN, throw_away_key("test"))
    here.begin("uid", NOWHERE, ended.set)
    assert ended.wait(30)
    login, why = here.view("uid", TOKEN)
    assert login is Login.BARRED
    assert "cloudPolicy" in why
    here.stop()


@pytest.mark.parametrize(
    ("error", "login"),
    [
        (LoginError("debian is not let in"), Login.REFUSED),
        (UnreachedError("Connection refused"), Login.UNREACHED),
        (RuntimeError("a bug"), Login.UNREACHED),
    ],
)
def test_only_what_the_server_does_is_its_fault(
    error: Exception, login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr(boot_logins, "log_in", fails)
    here, ended = logins(), threading.Event()
    here.keep("uid", TOKEN, throw_away_key("test"))
    here.begin("uid", NOWHERE, ended.set)
    assert ended.wait(30)
    assert here.view("uid", TOKEN)[0] is login
    here.stop()


def test_without_a_key_nothing_is_begun() -> None:
    here = logins()
    here.begin("uid", NOWHERE, lambda: None)
    assert here.view("uid", TOKEN) == (Login.KEY_LOST, "")
    here.stop()


def test_an_ssh_server_is_not_asked_again_and_again() -> None:
    here, time, tries = logins(), [0.0], 0
    here.clock = lambda: time[0]
    here.keep("uid", TOKEN, throw_away_key("test"))
    for _ in range(20):  # a look each three seconds
        ended = threading.Event()
        here.begin("uid", NOWHERE, ended.set)
        if here.view("uid", TOKEN)[0] is Login.RUNNING or ended.wait(0.05):
            assert ended.wait(30)
            tries += 1
        time[0] += 3
    assert tries == 4
    here.stop()
