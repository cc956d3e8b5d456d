"""What is made of a console's text, whatever is in it."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudimage.guest.report import console_tail, newest_report
from testbed.commands import run

TOKEN = "0123456789abcdef0123456789abcdef"
OTHER = "f" * 32
MARK = "cloudimage-report/1 "
NOISE = st.text(st.characters(), max_size=200) | st.sampled_from(
    [
        MARK,
        MARK * 50,
        " signature=",
        "seconds=1 uptime=2",
        "\x1b[2J",
        "\ud800",
        "\r\n",
        "\x00\x1b]0;",
    ]
)
UPTIMES = st.lists(st.integers(0, 10**6), min_size=1, max_size=8)


def line(token: str = TOKEN, *, uptime: float = 20, **fields: str) -> str:
    """Return a line as the script prints it; by hashlib alone."""
    words = {"seconds": "0", "uptime": str(uptime)} | fields
    body = " ".join(f"{name}={value}" for name, value in words.items())
    inner = hashlib.sha256(f"{token}:{body}".encode()).hexdigest()
    return f"{MARK}{body} signature={hashlib.sha256(f'{token}:{inner}'.encode()).hexdigest()}"


def uptime_of(console: str, token: str = TOKEN) -> float | None:
    report = newest_report(console, token)
    return None if report is None else report.uptime


def test_the_signature_is_what_a_users_own_sha256sum_says(tmp_path: Path) -> None:
    body = "seconds=0 uptime=7.25"
    script = (
        f"inner=$(printf %s '{TOKEN}:{body}' | sha256sum | cut -d' ' -f1);"
        f"printf %s {TOKEN}:$inner | sha256sum | cut -d' ' -f1"
    )
    console = f"{MARK}{body} signature={run('sh', '-c', script)}"
    assert uptime_of(console) == 7.25


def test_every_field_is_read() -> None:
    key = hashlib.sha256(b"key").hexdigest()
    report = newest_report(
        line(
            seconds="12",
            uptime=34.5,
            interfaces="eth0,eth1,",
            addresses="10.0.0.5/24%eth0,fd7a::5/64%eth0,192.0.2.1/255.255.255.0%eth1,"
            "198.18.0.1/0xffff0000%vtnet0,",
            routes="10.0.0.1%eth0,fe80::1%eth0,",
            keys=f"root:{key},debian:{key},debian:{key},",
            hostkeys=f"{key},",
            kernel="Linux/6.1.0-18-cloud-amd64,",
            cloudinit="degraded_done,",
        ),
        TOKEN,
    )
    assert report is not None
    # printf key | openssl dgst -sha256 -binary | base64
    fingerprint = "SHA256:LHDhK3oGRvkiefQnx7OOczTY5Tic/xZ6HcMOc/gmtoM"
    assert (report.seconds, report.uptime) == (12, 34.5)
    assert list(map(str, report.addresses)) == [
        "10.0.0.5/24",
        "fd7a::5/64",
        "192.0.2.1/24",
        "198.18.0.1/16",
    ]
    assert report.interfaces == ("eth0", "eth1")
    assert report.routes == ("10.0.0.1 dev eth0", "fe80::1 dev eth0")
    assert report.keys == {"root": (fingerprint,), "debian": (fingerprint, fingerprint)}
    assert report.host_keys == (fingerprint,)
    assert report.kernel == "Linux 6.1.0-18-cloud-amd64"
    assert report.cloud_init == "degraded done"


NO_ADDRESSES = (
    *("", ",", "x", "/%", "10.0.0.1/99%eth0", "fe80::1/64%eth0", "127.0.0.1/8%lo", "999.1.1.1/8%e"),
    *("10.0.0.1/0xzz%eth0", "10.0.0.1/0xffffffffff%e", f"10.0.0.1/{'9' * 5000}%e"),
)


@pytest.mark.parametrize("addresses", NO_ADDRESSES)
def test_what_is_no_address_of_the_guest_is_left_out(addresses: str) -> None:
    report = newest_report(line(addresses=f"{addresses},10.0.0.9/8%eth0"), TOKEN)
    assert report is not None
    assert list(map(str, report.addresses)) == ["10.0.0.9/8"]


@given(UPTIMES, st.lists(NOISE, min_size=9, max_size=9), st.randoms(use_true_random=False))
def test_the_newest_right_line_counts_wherever_it_is(
    uptimes: list[int], noise: list[str], order: object
) -> None:
    forged = [line(OTHER, uptime=10**7), line().replace("uptime=20", "uptime=9999999")]
    lines = [*(line(uptime=each) for each in uptimes), *forged]
    order.shuffle(lines)  # type: ignore[attr-defined]  # a Random
    console = "\n".join(
        f"{before}\n{each}\r" for before, each in zip(noise * 2, lines, strict=False)
    )
    assert uptime_of(console) == max(uptimes)


@given(st.integers(1, len(line()) - 1), st.text(min_size=1, max_size=40))
def test_a_line_that_was_interrupted_does_not_count_but_the_next_does(at: int, other: str) -> None:
    broken = line()[:at] + other + line()[at:]
    if newest_report(broken, TOKEN) is not None:
        # Only where nothing of the line itself was changed.
        assert line() in broken
    assert uptime_of(f"{broken}\n{line(uptime=25)}") == 25
    assert uptime_of(f"{line()[:at]}{line(uptime=25)}") == 25


@given(st.integers(0, len(line()) - 1))
def test_a_line_that_was_cut_does_not_count(length: int) -> None:
    assert newest_report(line()[:length], TOKEN) is None


@given(st.characters(codec="ascii"))
def test_nothing_can_be_added_to_a_line(more: str) -> None:
    """As by extending the hash, which only a hash of a hash prevents."""
    assert newest_report(line().replace(" signature", f"{more} signature"), TOKEN) is None
    shown = newest_report(line() + more, TOKEN)
    assert (shown is None) == (more in "0123456789abcdef")


@given(NOISE, NOISE)
def test_any_console_is_read(console: str, token: str) -> None:
    assert newest_report(console, TOKEN) is None
    tail = console_tail(console + "\n" + line() + "\n" + token)
    assert len(tail) <= 1500
    assert len(tail.split("\n")) <= 20
    assert MARK not in tail
    assert all(char.isprintable() or char == "\n" for char in tail)


@given(
    st.dictionaries(
        st.sampled_from(["seconds", "uptime", "keys", "addresses", "kernel"]),
        st.text("0123456789abcdefx.:/%_+@=, -", max_size=100),
    )
)
def test_any_line_with_a_right_signature_is_read(fields: dict[str, str]) -> None:
    uptime = fields.pop("uptime", "1")
    report = newest_report(line(**fields).replace("uptime=20", f"uptime={uptime}"), TOKEN)
    if report is not None:
        assert report.uptime >= 0


HUGE = {
    "marks": MARK * 200_000,
    "bodies": (MARK + "a" * 9000) * 500,
    "lines": line() * 3000,
    "escapes": "\x1b[" * 500_000,
    "titles": "\x1b]" * 500_000,
    "one line": "a" * 5_000_000,
    "empty lines": "\r" * 1_000_000,
    "signatures": " signature=" * 300_000,
}


@pytest.mark.parametrize("name", HUGE)
@pytest.mark.timeout(20)
def test_a_huge_console_takes_no_time(name: str) -> None:
    newest_report(HUGE[name], TOKEN)
    assert len(console_tail(HUGE[name])) <= 1500


def test_the_tail_is_what_a_terminal_would_show() -> None:
    console = (
        "SeaBIOS\x1b[2J\x1b[01;01H\r\nLinux\r\n\r\n[\x1b[0;32m  OK  \x1b[0m] Started \x1b]0;t\x07x."
        f"\r\n{line()}\r\nfd7a signature={'0' * 40}\r\nKernel panic\x00 - not\tsyncing\r\n"
    )
    assert console_tail(console).split("\n") == [
        "SeaBIOS",
        "Linux",
        "[  OK  ] Started x.",
        "Kernel panic\ufffd - not    syncing",
    ]
    assert console_tail(console, lines=1, characters=8) == "\u2026syncing"
