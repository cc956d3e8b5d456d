"""A source fetched as the pipeline does it, for the tests of servers and of the URL policy."""

import hashlib
import itertools
import random
import socket
from collections.abc import Callable
from pathlib import Path

from cloudimage.transfer.contract import Checksum, Limits, UrlPolicy
from cloudimage.transfer.progress import Meter
from cloudimage.transfer.scratch import Cache
from cloudimage.transfer.source.hashes import Fetched
from cloudimage.transfer.source.http.client import Client
from cloudimage.transfer.source.http.fetch import fetch
from cloudimage.transfer.source.http.model import HttpSource

CONTENT = random.Random(2).randbytes(300_000)
RIGHT = Checksum(algorithm="sha256", value=hashlib.sha256(CONTENT).hexdigest())
LIMITS = Limits(stall_seconds=0.5, max_download=1_000_000)
LOOPBACK = UrlPolicy(allow_networks=("127.0.0.1/32",))


def transfer(
    source: HttpSource, folder: Path, policy: UrlPolicy = LOOPBACK, limits: Limits = LIMITS
) -> Fetched:
    """Fetch as the pipeline does, with a cache that outlives it."""
    (folder / "run").mkdir(exist_ok=True)
    cache = Cache(folder / "cache", limits, shared=True)
    with Client(source, policy, limits, folder / "run") as client:
        return fetch(source, folder / "run" / "source", Meter(lambda _: None), client, cache)


Resolver = Callable[..., list[tuple[object, ...]]]


def resolver(*rounds: list[str]) -> Resolver:
    """Return a name service whose answer is another one each time."""
    answers = itertools.chain(rounds, itertools.repeat(rounds[-1]))

    def getaddrinfo(_host: str, port: object, *_: object, **__: object) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in next(answers)]

    return getaddrinfo
