"""Connections are kept, lent to one borrower at a time, and closed in the end."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import cast

import pytest

from cloudimage.cloud.config import CloudConfig, Origin
from cloudimage.cloud.connection import Cloud
from cloudimage.cloud.errors import (
    CloudError,
    CloudMisconfiguredError,
    CloudUnreachableError,
    ForbiddenError,
    InvalidCredentialsError,
)
from cloudimage.cloud.pool import ConnectionPool

ORIGIN = Origin("images", "openstack", "uid/1", "prod")


@dataclass
class Logins:
    """Plays the cloud, to count: which connections were opened, and which are open."""

    now: float = 0.0
    opened: list[Origin | None] = field(default_factory=list)
    open: list[Origin | None] = field(default_factory=list)

    @contextmanager
    def connect(self, config: CloudConfig) -> Iterator[Cloud]:
        """Log in, as ``open_cloud`` does."""
        self.opened.append(config.origin)
        self.open.append(config.origin)
        yield cast("Cloud", object())
        self.open.remove(config.origin)

    def pool(self, **settings: float) -> ConnectionPool:
        """Return a pool that logs in here."""
        return ConnectionPool(connect=self.connect, clock=lambda: self.now, **settings)  # type: ignore[arg-type]  # max_idle is an int


def config(**origin: str) -> CloudConfig:
    return CloudConfig({}, origin=replace(ORIGIN, **origin))


def use(pool: ConnectionPool, **origin: str) -> Cloud:
    with pool.borrow(config(**origin)) as cloud:
        return cloud


def test_one_after_the_other_shares_a_login() -> None:
    logins = Logins()
    pool = logins.pool()
    assert len({id(use(pool)) for _ in range(5)}) == 1
    assert len(logins.opened) == 1


def test_two_at_once_never_share() -> None:
    logins = Logins()
    pool = logins.pool()
    with pool.borrow(config()) as one, pool.borrow(config()) as other:
        assert one is not other
    use(pool)
    assert len(logins.opened) == 2


def test_it_tells_how_many_are_lent_and_how_many_are_not() -> None:
    pool = Logins().pool()
    with pool.borrow(config()):
        use(pool)
        assert pool.numbers() == {"idle": 1, "lent": 1}
    assert pool.numbers() == {"idle": 2, "lent": 0}
    with pytest.raises(CloudUnreachableError), pool.borrow(config()):
        raise CloudUnreachableError("gone")
    assert pool.numbers() == {"idle": 1, "lent": 0}


@pytest.mark.parametrize("other", [{"namespace": "b"}, {"secret": "b"}, {"cloud": "b"}])
def test_nobody_gets_a_connection_of_other_credentials(other: dict[str, str]) -> None:
    logins = Logins()
    pool = logins.pool()
    assert use(pool) is not use(pool, **other)
    assert len(logins.open) == 2, "and each is kept"


def test_a_newer_version_closes_the_older_ones_of_its_secret_alone() -> None:
    logins = Logins()
    pool = logins.pool()
    use(pool)
    use(pool, cloud="dev")
    use(pool, secret="other")
    use(pool, version="uid/2")
    newer = replace(ORIGIN, version="uid/2")
    assert logins.open == [replace(ORIGIN, secret="other"), newer]


def test_an_older_one_that_is_lent_is_closed_when_it_comes_back() -> None:
    logins = Logins()
    pool = logins.pool()
    with pool.borrow(config()):
        use(pool, version="uid/2")
        assert len(logins.open) == 2
    assert [each.version for each in logins.open if each] == ["uid/2"]


def test_idle_ones_are_closed_after_a_while_and_old_ones_in_any_case() -> None:
    logins = Logins()
    pool = logins.pool(idle_seconds=300, age_seconds=1000)
    use(pool)
    logins.now = 299
    pool.close_idle()
    assert len(logins.open) == 1
    use(pool)
    for logins.now in (550, 800, 1050):
        use(pool)
    assert len(logins.opened) == 2, "the first was older than age_seconds"
    logins.now = 1351
    pool.close_idle()
    assert logins.open == []


def test_no_more_are_kept_than_the_bound() -> None:
    logins = Logins()
    pool = logins.pool(max_idle=2)
    for name in ("a", "b", "c"):
        use(pool, cloud=name)
    assert [each.cloud for each in logins.open if each] == ["b", "c"]


def test_an_entry_that_leads_to_no_cloud_is_tried_again_slowly() -> None:
    """By all objects of the Secret together; at once with another version, or when asked to."""
    tries: list[str] = []

    @contextmanager
    def nowhere(config: CloudConfig) -> Iterator[Cloud]:
        assert config.origin
        tries.append(config.origin.version)
        raise CloudMisconfiguredError("no Keystone answers there")
        yield

    logins = Logins()
    pool = ConnectionPool(connect=nowhere, clock=lambda: logins.now)

    def tried(version: str = "uid/1") -> int:
        before = len(tries)
        with pytest.raises(CloudMisconfiguredError, match="no Keystone answers there"):
            use(pool, version=version)
        return len(tries) - before

    assert [tried(), tried()] == [1, 0]
    assert [tried("uid/2"), tried("uid/2")] == [1, 0]
    logins.now = 21
    assert [tried(), tried()] == [1, 0]
    logins.now = 60
    assert tried() == 0
    logins.now = 62
    pool.close_idle()
    assert tried() == 1
    pool.forgive("other")
    assert tried() == 0
    pool.forgive(ORIGIN.namespace)
    assert tried() == 1
    for _ in range(20):
        logins.now += 1801
        assert tried() == 1


@pytest.mark.parametrize(
    ("error", "kept"),
    [
        (CloudMisconfiguredError("its certificate"), False),
        (InvalidCredentialsError("401"), False),
        (CloudUnreachableError("no answer"), False),
        (ForbiddenError("403"), True),
        (CloudError("what?"), True),
        (ValueError("ours"), True),
    ],
)
def test_what_the_credentials_or_the_catalogue_may_have_spoilt_is_thrown_away(
    error: Exception, *, kept: bool
) -> None:
    logins = Logins()
    pool = logins.pool()
    with pytest.raises(type(error)), pool.borrow(config()):
        raise error
    assert logins.open == ([ORIGIN] if kept else [])


def test_a_refused_login_leaves_nothing() -> None:
    @contextmanager
    def refuse(_: CloudConfig) -> Iterator[Cloud]:
        raise InvalidCredentialsError("401")
        yield

    pool = ConnectionPool(connect=refuse)
    with pytest.raises(InvalidCredentialsError), pool.borrow(config()):
        pytest.fail("lent a connection that was refused")


def test_closing_the_pool_closes_the_idle_now_and_the_lent_later() -> None:
    logins = Logins()
    pool = logins.pool()
    with pool.borrow(config()):
        use(pool)
        pool.close()
        assert len(logins.open) == 1
    assert logins.open == []


def test_a_config_without_an_origin_is_not_kept() -> None:
    logins = Logins()
    with logins.pool().borrow(CloudConfig({})):
        assert logins.open == [None]
    assert logins.open == []


def test_many_threads_never_hold_the_same_one() -> None:
    logins = Logins()
    pool = logins.pool()
    held: set[int] = set()
    lock = threading.Lock()

    def work(_: int) -> bool:
        with pool.borrow(config()) as cloud:
            with lock:
                alone = id(cloud) not in held
                held.add(id(cloud))
            with lock:
                held.discard(id(cloud))
        return alone

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(work, range(2000)))
    assert len(logins.opened) <= 8
    assert len(logins.open) == len(logins.opened)
