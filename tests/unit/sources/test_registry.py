"""Each member of spec.source has its kind, and each kind is read by a transfer."""

import pytest

from cloudimage.api.cloudimage import CloudImageSpec
from cloudimage.api.source import Source
from cloudimage.sources import registry
from cloudimage.sources.registry import source_of
from cloudimage.transfer.contract import Checksum
from cloudimage.transfer.source import registry as readers
from support.resources import SHA256, cloud_image

SOURCES = {"http": {"url": "https://example.org/disk.img", "checksum": {"sha256": SHA256}}}
"""An example of each; a new kind needs one."""


def spec(**source: object) -> CloudImageSpec:
    whole = cloud_image().spec.to_json() | {"source": source}
    return CloudImageSpec.model_validate(whole)


def test_every_member_has_its_kind() -> None:
    assert set(Source.model_fields) == set(registry._KINDS) == set(SOURCES)


@pytest.mark.parametrize("name", SOURCES)
def test_what_it_asks_for_can_be_read(name: str) -> None:
    source = source_of(spec(**{name: SOURCES[name]}))
    request = source.request()
    assert type(request) in readers._OPENERS
    assert request.checksum == Checksum(algorithm="sha256", value=SHA256)
    assert source.proof().checksum == request.checksum
    assert request.with_texts({}).without_texts() == request


def test_without_a_member_that_is_known() -> None:
    bare = spec(http=SOURCES["http"]).model_copy(update={"source": None})
    with pytest.raises(ValueError, match="upgrade the operator"):
        source_of(bare)
