"""The kinds of sources that a spec can have: one line each."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from cloudimage.api.cloudimage import CloudImageSpec
from cloudimage.sources.base import SpecSource
from cloudimage.sources.claim import PersistentVolumeClaimSpecSource
from cloudimage.sources.glance import GlanceSpecSource
from cloudimage.sources.http import HttpSpecSource
from cloudimage.sources.oci import OciSpecSource
from cloudimage.sources.s3 import S3SpecSource
from cloudimage.sources.server import ServerSpecSource
from cloudimage.sources.swift import SwiftSpecSource
from cloudimage.sources.upload import UploadSpecSource
from cloudimage.sources.volume import VolumeSpecSource

_KINDS: Final[Mapping[str, Callable[[Any], SpecSource]]] = {
    "http": HttpSpecSource,
    "glance": GlanceSpecSource,
    "s3": S3SpecSource,
    "swift": SwiftSpecSource,
    "oci": OciSpecSource,
    "upload": UploadSpecSource,
    "persistent_volume_claim": PersistentVolumeClaimSpecSource,
    "server": ServerSpecSource,
    "volume": VolumeSpecSource,
}
"""By the member of spec.source."""


def source_of(spec: CloudImageSpec) -> SpecSource:
    """Return the source of a spec.

    Raises:
        ValueError: The spec has no source: the object only adopts an image, or it was admitted by
            another operator's CRD.
    """
    for name, kind in _KINDS.items():
        member = getattr(spec.source, name, None)
        if member is not None:
            source = kind(member)
            return source.made_into(spec.image) if isinstance(source, OciSpecSource) else source
    raise ValueError(
        "spec.source has no kind of source that this operator supports; upgrade the operator"
    )
