"""What proves a file behind a URL, as far as its spec says."""

from typing import Any

import pytest

from cloudimage.api.resolved_source import ResolvedSource
from cloudimage.api.sources.http import HttpSource
from cloudimage.sources.base import Proof
from cloudimage.sources.http import HttpSpecSource

KEYRING = {"configMap": {"name": "k", "key": "k"}}
STREAMS = {"url": "https://x.example/streams/v1/index.sjson", "product": "p", "item": "disk1.img"}
RELEASES = {"releases": "https://x.example/releases", "pattern": ".*"}
SUMS = {"from": {"url": "https://x.example/SUMS"}}
FOUND = ResolvedSource(selector="s", version="1", checksum="sha256:" + "a" * 64)


def source(found: ResolvedSource | None = None, **spec: Any) -> HttpSpecSource:
    """Return a source."""
    return HttpSpecSource(HttpSource.model_validate(spec), found)


@pytest.mark.parametrize(
    ("found", "spec", "proof"),
    [
        (None, {"index": {"simpleStreams": STREAMS}}, Proof(listed=True)),
        (
            None,
            {"index": {"simpleStreams": {**STREAMS, "keyring": KEYRING}}},
            Proof(listed=True, signed=True),
        ),
        # What is given beside it is what counts.
        (
            None,
            {"index": {"simpleStreams": {**STREAMS, "keyring": KEYRING}}, "checksum": SUMS},
            Proof(listed=True),
        ),
        (None, {"index": RELEASES}, Proof()),
        (FOUND, {"index": RELEASES}, Proof(listed=True)),
        (None, {"url": "https://x.example/a", "checksum": SUMS}, Proof(listed=True)),
        (None, {"url": "https://x.example/a"}, Proof()),
    ],
)
def test_what_an_index_proves(
    found: ResolvedSource | None, spec: dict[str, Any], proof: Proof
) -> None:
    assert source(found, **spec).proof() == proof


def test_a_plain_url_is_no_template() -> None:
    found = ResolvedSource(selector="", version="sha256:a", checksum=f"sha256:{'a' * 64}")
    url = "https://h.example/a$$b$(x).qcow2"
    checksum = {"from": {"url": "https://h.example/SHA256SUMS"}}
    assert source(found, url=url, index=None, checksum=checksum).request().url == url
