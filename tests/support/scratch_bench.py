"""A cache of sources, and the folders of transfers beside it."""

import hashlib
import random
from pathlib import Path

from cloudimage.transfer.contract import UNRESTRICTED, Checksum, Limits
from cloudimage.transfer.progress import Meter
from cloudimage.transfer.scratch import Cache
from cloudimage.transfer.source.hashes import Fetched
from cloudimage.transfer.source.http.client import Client
from cloudimage.transfer.source.http.fetch import cache_key, fetch
from cloudimage.transfer.source.http.model import HttpSource

CONTENT = random.Random(5).randbytes(2_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
RIGHT = Checksum(algorithm="sha256", value=SHA256)


class Bench:
    """A cache, and the folders of transfers beside it."""

    def __init__(self, folder: Path, limits: Limits | None = None) -> None:
        self.folder = folder
        self.limits = limits or Limits(stall_seconds=5)
        self.runs = 0

    @property
    def cache(self) -> Cache:
        """Return the cache as one process sees it."""
        return Cache(self.folder / "cache", self.limits, shared=True)

    def fetch(self, source: HttpSource, meter: Meter | None = None) -> tuple[Fetched, Path]:
        """Fetch as a transfer of its own, which then uses the file."""
        self.runs += 1
        run = self.folder / f"run-{self.runs}"
        run.mkdir()
        with Client(source, UNRESTRICTED, self.limits, run) as client:
            meter = meter or Meter(lambda _: None)
            fetched = fetch(source, run / "source", meter, client, self.cache)
        return fetched, run / "source"

    def kept(self) -> list[str]:
        """Return the kinds of files in the cache."""
        return sorted(path.suffix for path in (self.folder / "cache").iterdir())


def leave_part(bench: Bench, source: HttpSource, content: bytes) -> Path:
    """Leave what a killed download of the source would, and return its note."""
    bench.fetch(source)
    cache = bench.folder / "cache"
    (cache / f"{cache_key(source)}.data").unlink()
    (cache / f"{cache_key(source)}.part").write_bytes(content)
    return cache / f"{cache_key(source)}.json"
