"""Transfers that need a Job go one way, all others the other."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudimage.runners.both import RunnerOfBoth
from cloudimage.runners.child import ChildRunner
from cloudimage.runners.fork_client import Process
from cloudimage.transfer.contract import Cloud, NewImage, Source
from cloudimage.transfer.customize.model import Customize
from cloudimage.transfer.request import TransferRequest
from cloudimage.transfer.source.file.model import FileSource
from cloudimage.transfer.source.http.model import HttpSource
from support.resources import cloud_image

OF_A_VOLUME = FileSource(path="disk.raw", claim="builds")
OTHER = HttpSource(url="https://example.org/image")


def _broken() -> Process:
    raise OSError


@pytest.fixture
def both() -> Iterator[RunnerOfBoth]:
    """Two runners that end each transfer at once: neither can start a process."""
    runner = RunnerOfBoth(ChildRunner(1, spawn=_broken), jobs=ChildRunner(1, spawn=_broken))
    yield runner
    runner.stop()


@pytest.mark.parametrize(
    ("source", "mounts", "customizes", "by_job"),
    [
        (OTHER, False, True, True),
        (OTHER, True, False, False),
        (OF_A_VOLUME, True, True, True),
        # What may customize must not thereby mount any volume.
        (OF_A_VOLUME, False, True, False),
    ],
)
def test_customized_by_a_job_where_there_is_a_container_image(
    source: Source, tmp_path: Path, *, mounts: bool, customizes: bool, by_job: bool
) -> None:
    children, jobs = ChildRunner(1, spawn=_broken), ChildRunner(1, spawn=_broken)
    runner = RunnerOfBoth(children, jobs, mounts=mounts, customizes=customizes)
    request = TransferRequest(
        source=source,
        image=NewImage(id_seed="seed", name="name"),
        cloud=Cloud(config={}),
        scratch=tmp_path,
        customize=Customize(sparsify=True),
    )
    runner.start("uid", "digest", request, lambda: None, cloud_image())
    assert (jobs.view("uid") is not None) is by_job
    assert (children.view("uid") is None) is by_job
    runner.stop()


@pytest.mark.parametrize(("source", "by_job"), [(OF_A_VOLUME, True), (OTHER, False)])
def test_by_what_the_source_needs(
    both: RunnerOfBoth, source: Source, tmp_path: Path, *, by_job: bool
) -> None:
    request = TransferRequest(
        source=source,
        image=NewImage(id_seed="seed", name="name"),
        cloud=Cloud(config={}),
        scratch=tmp_path,
    )
    assert both.by_stage().keys() == both.jobs.by_stage().keys()
    both.start("uid", "digest", request, lambda: None, cloud_image())
    assert (both.jobs.view("uid") is not None) is by_job
    assert (both.others.view("uid") is None) is by_job
    view = both.view("uid")
    assert view is not None
    deadline = time.monotonic() + 10
    while view.outcome is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert view.outcome is not None
    both.forget("uid")
    assert both.view("uid") is None
