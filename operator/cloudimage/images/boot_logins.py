"""Logins by ssh of boot tests: each takes seconds, so that they run beside the reconciles."""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from cloudimage.access.policy import CloudPolicy
from cloudimage.controller.faults import without_text
from cloudimage.guest.keys import KeyPair
from cloudimage.guest.ssh import BarredError, LoginError, UnreachedError, log_in
from cloudimage.images.logic.boot_verdict import Login
from cloudimage.plaintext import plain

logger = logging.getLogger(__name__)

SECONDS: Final = 30.0
"""How long one login may take, over all addresses."""
PAUSE_SECONDS: Final = 15.0
"""Between two logins: an SSH server may refuse an address that comes too often (OpenSSH's
PerSourcePenalties)."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where to log in.

    Attributes:
        addresses: Those of Nova that the guest also has.
        host_keys: Fingerprints that the guest reported.
    """

    addresses: tuple[IPv4Address | IPv6Address, ...]
    user: str
    host_keys: tuple[str, ...]


@dataclass
class _Attempt:
    login: Login = Login.RUNNING
    failure: str = ""
    next_time: float = 0.0
    """Of the next one, by the clock."""


@dataclass
class BootLogins:
    """The keys of servers that this process has made, and the logins to them; safe to share.

    Attributes:
        places: How many logins run at once.
        policy: Where the operator may connect to.
        clock: Seconds that only grow.
    """

    places: int
    policy: CloudPolicy
    clock: Callable[[], float] = time.monotonic
    _keys: dict[str, tuple[str, KeyPair]] = field(default_factory=dict)
    _attempts: dict[str, _Attempt] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _threads: ThreadPoolExecutor = field(init=False)

    def __post_init__(self) -> None:
        self._threads = ThreadPoolExecutor(self.places, thread_name_prefix="boot-login")

    def keep(self, uid: str, token: str, key: KeyPair) -> None:
        """Remember the key of a server while this process lives."""
        with self._lock:
            self._keys[uid] = (token, key)
            self._attempts.pop(uid, None)

    def forget(self, uid: str) -> None:
        """Forget what belongs to an object's server."""
        with self._lock:
            self._keys.pop(uid, None)
            self._attempts.pop(uid, None)

    def view(self, uid: str, token: str | None) -> tuple[Login, str]:
        """Return how far the login to a server is, and why the last one failed."""
        with self._lock:
            if self._keys.get(uid, ("", None))[0] != token:
                return Login.KEY_LOST, ""
            attempt = self._attempts.get(uid)
            return (attempt.login, attempt.failure) if attempt else (Login.NOT_BEGUN, "")

    def begin(self, uid: str, target: Target, notify: Callable[[], None]) -> None:
        """Log in beside, but not soon after the last try.

        Args:
            uid: Of the object.
            target: Where.
            notify: Called from another thread once it has succeeded or failed.
        """
        with self._lock:
            held, last = self._keys.get(uid), self._attempts.get(uid)
            if held is None or (last is not None and self.clock() < last.next_time):
                return
            attempt = self._attempts[uid] = _Attempt()
        self._threads.submit(self._work, attempt, target, held[1], notify)

    def stop(self) -> None:
        """Begin nothing more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _work(
        self, attempt: _Attempt, target: Target, key: KeyPair, notify: Callable[[], None]
    ) -> None:
        try:
            log_in(target.addresses, target.user, key, target.host_keys, self.policy, SECONDS)
            attempt.login = Login.DONE
        except LoginError as error:
            self._failed(attempt, _came_of(error), plain(str(error), 512).rstrip(". "))
        except Exception as error:  # noqa: BLE001 - a test must end, whatever it is
            logger.error("a login could not be tried", extra=without_text(error))  # noqa: TRY400 - its text may hold secrets
            why = "the operator could not try it; see its log"
            self._failed(attempt, Login.UNREACHED, why)
        notify()

    def _failed(self, attempt: _Attempt, login: Login, why: str) -> None:
        attempt.next_time = self.clock() + PAUSE_SECONDS
        attempt.failure = why
        attempt.login = login


def _came_of(error: LoginError) -> Login:
    if isinstance(error, BarredError):
        return Login.BARRED
    return Login.UNREACHED if isinstance(error, UnreachedError) else Login.REFUSED
