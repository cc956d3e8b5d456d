"""How long a cloud that is at work is waited for."""

import pytest

from cloudimage.transfer.contract import Reason, TransferError
from cloudimage.transfer.source.snapshot import patience
from cloudimage.transfer.source.snapshot.patience import Patience


class Clock:
    """Time that passes by sleeping alone."""

    now = 0.0

    def monotonic(self) -> float:
        """Return it."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let it pass."""
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(patience, "time", clock)
    return clock


def test_what_shows_nothing_new_is_given_up(clock: Clock) -> None:
    with pytest.raises(TransferError, match="waiting until it is there") as caught:
        Patience(100, "it is there").until(lambda: (None, "saving"))
    assert caught.value.reason is Reason.SNAPSHOT_FAILED
    assert 100 < clock.now < 120


def test_what_goes_on_is_waited_for(clock: Clock) -> None:
    def look() -> tuple[bool | None, object]:
        return (True if clock.now > 1000 else None), int(clock.now / 50)

    assert Patience(100, "it is there").until(look)


def test_not_for_ever(clock: Clock) -> None:
    with pytest.raises(TransferError, match="12 hours"):
        Patience(100, "it is there").until(lambda: (None, clock.now))


@pytest.mark.parametrize(("seconds", "passes"), [(50, True), (90, False)])
def test_a_short_outage_passes(clock: Clock, seconds: float, *, passes: bool) -> None:
    def look() -> tuple[bool | None, object]:
        if clock.now < seconds:
            raise TransferError(Reason.SOURCE_UNREACHABLE, "away")
        return True, None

    if passes:
        assert Patience(100, "it is there").until(look)
        return
    with pytest.raises(TransferError, match="away"):
        Patience(100, "it is there").until(look)
