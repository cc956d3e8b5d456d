"""Keeps connections between uses, so that a reconcile need not log in each time.

openstacksdk's connections are not safe to share between threads, so one is lent to one borrower at
a time; as many are open as were needed at once.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field

from cloudimage.cloud.config import CloudConfig, Origin
from cloudimage.cloud.connection import Cloud, open_cloud
from cloudimage.cloud.errors import (
    CloudMisconfiguredError,
    CloudUnreachableError,
    InvalidCredentialsError,
)


@dataclass(eq=False)
class _Connection:
    """An open connection; ``close`` ends it, times are by the monotonic clock."""

    cloud: Cloud
    origin: Origin
    close: Callable[[], None]
    opened: float
    idle_since: float


@dataclass(frozen=True)
class _Mistake:
    """What is wrong with an entry of clouds.yaml, which is not retried before ``until``."""

    message: str
    pause: float
    until: float


@dataclass
class ConnectionPool:
    """Lends connections by the Secret, its version and the cloud's name; safe to share.

    Attributes:
        max_idle: How many are kept open while nobody uses them.
        idle_seconds: After so long without use one is closed.
        age_seconds: After so long one is closed in any case, for it keeps the catalogue that
            Keystone gave it: a service that moved must be found without a restart.
        mistake_seconds: After so long an entry of clouds.yaml that leads to no cloud is retried,
            then after twice as long each time, up to ``most_mistake_seconds``; at once when its
            Secret has another version.
    """

    max_idle: int = 32
    idle_seconds: float = 300.0
    age_seconds: float = 3600.0
    mistake_seconds: float = 20.0
    most_mistake_seconds: float = 1800.0
    connect: Callable[[CloudConfig], AbstractContextManager[Cloud]] = open_cloud
    clock: Callable[[], float] = time.monotonic
    _idle: list[_Connection] = field(default_factory=list)
    _mistakes: dict[Origin, _Mistake] = field(default_factory=dict)
    _lent: int = 0
    _versions: dict[tuple[str, str], str] = field(default_factory=dict)
    _closed: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def borrow(self, config: CloudConfig) -> Iterator[Cloud]:
        """Yield the cloud's services by a connection that is nobody else's meanwhile.

        Raises:
            CloudError: The cloud cannot be reached, or it refuses the credentials.
        """
        if config.origin is None:
            with self.connect(config) as cloud:
                yield cloud
            return
        connection = self._take(config.origin) or self._open(config, config.origin)
        good = True
        self._count(1)
        try:
            yield connection.cloud
        except (CloudMisconfiguredError, InvalidCredentialsError, CloudUnreachableError):
            # Its token was revoked, or its catalogue names an endpoint that no longer exists.
            good = False
            raise
        finally:
            self._count(-1)
            if good:
                self._give_back(connection)
            else:
                connection.close()

    def numbers(self) -> dict[str, float]:
        """Return how many connections are idle and lent; those that are not kept do not count."""
        with self._lock:
            return {"idle": float(len(self._idle)), "lent": float(self._lent)}

    def _count(self, more: int) -> None:
        with self._lock:
            self._lent += more

    def close_idle(self) -> None:
        """Close what was not used for long; to be called now and then."""
        with self._lock:
            spent = self._without(self._is_spent)
            used = {(each.origin.namespace, each.origin.secret) for each in self._idle}
            # Of a Secret that is forgotten, what is lent just now is closed when it comes back.
            self._versions = {key: self._versions[key] for key in used if key in self._versions}
            old = self.clock() - self.most_mistake_seconds
            self._mistakes = {key: it for key, it in self._mistakes.items() if it.until > old}
        _close(spent)

    def forgive(self, namespace: str) -> None:
        """Try what a namespace's Secrets have for wrong at once: somebody asks for it."""
        with self._lock:
            self._mistakes = {
                key: each for key, each in self._mistakes.items() if key.namespace != namespace
            }

    def close(self) -> None:
        """Close all, including those that are lent as soon as they come back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        _close(idle)

    def _take(self, origin: Origin) -> _Connection | None:
        """Return an idle connection of that very version, and close those of other versions."""
        secret = (origin.namespace, origin.secret)
        with self._lock:
            self._versions[secret] = origin.version
            spent = self._without(lambda each: self._is_spent(each) or not self._is_current(each))
            found = next((each for each in reversed(self._idle) if each.origin == origin), None)
            if found is not None:
                self._idle.remove(found)
        _close(spent)
        return found

    def _open(self, config: CloudConfig, origin: Origin) -> _Connection:
        known = self._mistakes.get(origin)
        if known is not None and self.clock() < known.until:
            raise CloudMisconfiguredError(known.message)
        stack = ExitStack()
        try:
            cloud = stack.enter_context(self.connect(config))
        except CloudMisconfiguredError as error:
            pause = (
                min(2 * known.pause, self.most_mistake_seconds) if known else self.mistake_seconds
            )
            self._mistakes[origin] = _Mistake(str(error), pause, self.clock() + pause)
            raise
        self._mistakes.pop(origin, None)
        now = self.clock()
        return _Connection(cloud, origin, stack.close, opened=now, idle_since=now)

    def _give_back(self, connection: _Connection) -> None:
        connection.idle_since = self.clock()
        with self._lock:
            self._idle.append(connection)
            spent = self._without(
                lambda each: self._closed or self._is_spent(each) or not self._is_current(each)
            )
            # The oldest come first.
            surplus = max(0, len(self._idle) - self.max_idle)
            spent += self._idle[:surplus]
            del self._idle[:surplus]
        _close(spent)

    def _without(self, unwanted: Callable[[_Connection], bool]) -> list[_Connection]:
        """Take the unwanted ones out of those that are idle, and return them."""
        taken = [each for each in self._idle if unwanted(each)]
        self._idle = [each for each in self._idle if each not in taken]
        return taken

    def _is_spent(self, connection: _Connection) -> bool:
        now = self.clock()
        return (
            now - connection.idle_since > self.idle_seconds
            or now - connection.opened > self.age_seconds
        )

    def _is_current(self, connection: _Connection) -> bool:
        origin = connection.origin
        newest = self._versions.get((origin.namespace, origin.secret))
        return newest == origin.version


def _close(connections: list[_Connection]) -> None:
    for each in connections:
        each.close()
