"""Every image of the catalogue is found in its publisher's layout, on a real server."""

import re
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any, Final

import pytest
import requests
import yaml

from cloudimage.api.cloudimage import CloudImageSpec
from cloudimage.api.resolved_source import ResolvedSource
from cloudimage.catalogue import entries, find
from cloudimage.images.logic import provenance
from cloudimage.images.logic.facts import Facts
from cloudimage.sources.base import SpecSource
from cloudimage.sources.registry import source_of
from cloudimage.transfer.contract import TEXT, UNRESTRICTED, Latest, Limits, Reason, TransferError
from cloudimage.transfer.interrupts import Interrupts
from cloudimage.transfer.look import look
from cloudimage.transfer.progress import Meter
from cloudimage.transfer.request import LookRequest
from support.layouts import LAYOUTS
from support.resources import cloud_image
from support.transfer_keys import Signer
from support.upstream import Upstream, digest
from testbed.sources import Sources

SIGNED: Final = sorted(each.name for each in entries() if each.keyring)


@pytest.fixture
def net(sources: Sources, unique: str, signer: Signer) -> Iterator[Upstream]:
    net = Upstream(sources, unique, signer)
    yield net
    net.clear()


@pytest.fixture
def source(net: Upstream) -> Callable[[str], SpecSource]:
    """Return the source of an image of the catalogue, with its URLs leading to the bed."""

    def read(name: str) -> SpecSource:
        entry = find(name)
        assert entry is not None
        body: dict[str, Any] = yaml.safe_load(net.here(entry.text))
        return source_of(CloudImageSpec.model_validate(body["spec"]))

    return read


@pytest.fixture
def ask(tmp_path: Path, signer: Signer) -> Callable[[SpecSource], Latest]:
    """Return what a source has now."""

    def run(source: SpecSource) -> Latest:
        texts = {each.name: {TEXT: signer.public()} for each in source.references()}
        request = LookRequest.model_validate(
            {
                "source": source.unresolved().with_texts(texts),
                "scratch": tmp_path,
                "cache": tmp_path / "cache",
                "list_age": 0,
                "policy": UNRESTRICTED,
                "limits": Limits(stall_seconds=2),
            }
        )
        return look(request, Meter(lambda _: None), Interrupts())

    return run


Source = Callable[[str], SpecSource]
Ask = Callable[[SpecSource], Latest]


def test_every_image_has_a_layout() -> None:
    assert {each.name for each in entries()} == LAYOUTS.keys()


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_new_build_is_found(net: Upstream, source: Source, ask: Ask, name: str) -> None:
    layout, followed = LAYOUTS[name], source(name)
    layout.publish(net, layout.older, b"older")
    assert ask(followed).version == layout.older

    path = layout.publish(net, layout.newer, b"newer")
    found = ask(followed)
    assert found.version == layout.newer
    assert found.location == net.url(path)
    assert found.checksum is not None
    content = requests.get(found.location, timeout=10).content
    assert digest(found.checksum.algorithm, content) == found.checksum.value

    assert followed.is_older(layout.older, layout.newer)
    assert not followed.is_older(layout.newer, layout.older)
    resolved = ResolvedSource(
        selector=followed.selector() or "",
        version=found.version,
        checksum=str(found.checksum),
        location=found.location,
        values=found.values,
    )
    assert followed.at(resolved).location() == net.url(path)


@pytest.mark.parametrize("name", LAYOUTS)
def test_scs_demands_no_more_than_the_page_says(
    net: Upstream, source: Source, ask: Ask, name: str
) -> None:
    entry, layout = find(name), LAYOUTS[name]
    assert entry is not None
    path = layout.publish(net, layout.newer, b"newer")
    found = ask(source(name))
    spec = entry.cloud_image["spec"]
    given = {"os_purpose": "generic", "image_description": "https://example.org/"}
    if not re.search(r"\d", name):
        given["os_version"] = layout.newer
    spec["image"]["properties"] |= given
    resolved = ResolvedSource(
        selector=source_of(CloudImageSpec.model_validate(spec)).selector() or "",
        version=found.version,
        checksum=str(found.checksum),
        location=f"https://{path}",
        values=found.values,
    )
    status = {"resolvedSource": resolved.model_dump(by_alias=True)}
    resource = cloud_image(status=status, provenance="SCS", **spec)
    known = Facts(version=found.version, built=date(2026, 10, 1))
    told = provenance.draft(provenance.applied(resource, known))
    assert told is not None
    assert told.status == "True", told.message


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_list_that_vanished_is_told(net: Upstream, source: Source, ask: Ask, name: str) -> None:
    layout, followed = LAYOUTS[name], source(name)
    layout.publish(net, layout.older, b"older")
    ask(followed)
    net.clear()
    with pytest.raises(TransferError) as caught:
        ask(followed)
    assert caught.value.reason is Reason.SOURCE_NOT_FOUND


@pytest.mark.parametrize("name", SIGNED)
def test_what_another_key_signed_is_refused(
    net: Upstream, source: Source, ask: Ask, tmp_path: Path, name: str
) -> None:
    layout, followed = LAYOUTS[name], source(name)
    other = Signer.made(tmp_path / "other")
    net.signer = other
    layout.publish(net, layout.older, b"older")
    other.stop()
    with pytest.raises(TransferError) as caught:
        ask(followed)
    assert caught.value.reason is Reason.SIGNATURE_INVALID
