"""Reads objects of buckets as transfers do, for tests."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cloudimage.transfer.contract import (
    UNRESTRICTED,
    Limits,
    Stage,
    TransferError,
    UrlPolicy,
)
from cloudimage.transfer.progress import Meter
from cloudimage.transfer.scratch import Cache
from cloudimage.transfer.source.base import Context
from cloudimage.transfer.source.hashes import Fetched
from cloudimage.transfer.source.http.objects import ObjectReader
from cloudimage.transfer.source.s3 import model
from cloudimage.transfer.source.s3.model import S3Source
from cloudimage.transfer.source.s3.reader import open_s3
from cloudimage.transfer.tools.toolbox import Toolbox
from cloudimage.transfer.verify.verification import Expected
from testbed.buckets import OWNER, REGION, Buckets, Key

SIZE = 20 * 2**20
"""Three parts of the client's."""

LIMITS = Limits(stall_seconds=5)


def source(buckets: Buckets, bucket: str, key: str, who: Key | None = OWNER) -> S3Source:
    keys = {model.ACCESS_KEY_ID: who.id, model.SECRET_ACCESS_KEY: who.secret} if who else {}
    return S3Source(
        endpoint=buckets.endpoint,
        region=REGION,
        bucket=bucket,
        key=key,
        signed=who is not None,
        keys=keys,
    )


def changed(source: S3Source, **changes: object) -> S3Source:
    return source.model_copy(update=changes)


class Run:
    """Reads sources as transfers do that have a cache in common."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cache = Cache(folder / "cache", LIMITS, shared=True)

    def read(
        self,
        wanted: S3Source,
        then: Callable[[ObjectReader], object] = lambda _: None,
        policy: UrlPolicy = UNRESTRICTED,
    ) -> tuple[Expected, Fetched]:
        """Look at a source, do what the test wants, then fetch it."""
        folder = self.folder / "run"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        meter = Meter(lambda _: None)
        meter.start(Stage.FETCHING)
        tools = Toolbox(folder, LIMITS.tool_memory, LIMITS.tool_cpu_seconds)
        context = Context(folder, self.cache, LIMITS, policy, meter, tools)
        with open_s3(wanted, context) as reader:
            expected = reader.expect()
            then(reader)
            return expected, reader.fetch(folder / "source")

    def refusal(
        self,
        wanted: S3Source,
        then: Callable[[ObjectReader], object] = lambda _: None,
        policy: UrlPolicy = UNRESTRICTED,
    ) -> TransferError:
        """Return why a source cannot be read."""
        with pytest.raises(TransferError) as caught:
            self.read(wanted, then, policy)
        return caught.value


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
