"""Lists that are kept take a bounded place."""

import os
from pathlib import Path
from typing import Any

import pytest

from cloudimage.transfer.source.http.index import lists
from cloudimage.transfer.source.http.index.lists import KEPT_SECONDS, Lists
from cloudimage.transfer.source.http.side_files import SideFile

NOW = 1_800_000_000.0


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lists:
    """Lists of a publisher that answers every URL with a kilobyte, at a time that is known."""

    def fetched(url: str, *_: Any, **__: Any) -> SideFile:
        return SideFile(b"a" * 1024, url)

    monkeypatch.setattr(lists, "fetch_side_file", fetched)
    monkeypatch.setattr(lists, "MOST_BYTES", 10 * 1024)
    client: Any = None
    return Lists(tmp_path, client, "", 60.0, now=lambda: NOW)


def size_of(folder: Path) -> int:
    return sum(each.stat().st_size for each in folder.iterdir())


def test_many_urls_take_no_more_than_one_place(kept: Lists, tmp_path: Path) -> None:
    for number in range(40):
        kept.read(f"https://example.org/?n={number}", 2048)
        for each in tmp_path.iterdir():
            os.utime(each, (NOW + number, NOW + number))
    assert size_of(tmp_path) <= 10 * 1024
    assert kept.read("https://example.org/?n=39", 2048).content == b"a" * 1024


def test_what_nobody_asks_for_goes_with_its_lock(kept: Lists, tmp_path: Path) -> None:
    for name in ("old.json", "old.list", "old.lock", "alone.lock", "half.new"):
        (tmp_path / name).write_bytes(b"a")
        os.utime(tmp_path / name, (NOW - KEPT_SECONDS - 1,) * 2)
    kept.read("https://example.org/SHA256SUMS", 2048)
    assert not {each.stem for each in tmp_path.iterdir()} & {"old", "alone", "half"}
