"""What a spec wants, computed once for each look and handed on."""

import hashlib
import json
from dataclasses import dataclass
from typing import Self

from cloudimage.api.cloudimage import CloudImageSpec
from cloudimage.api.resolved_source import ResolvedSource
from cloudimage.sources.base import SpecSource
from cloudimage.sources.registry import source_of


@dataclass(frozen=True, slots=True)
class Desired:
    """What a spec wants of the bytes.

    Attributes:
        source: Where they come from; None: the image is only taken over.
        content_key: A digest of all that the bytes in Glance, and the stores that hold them,
            depend on; status.digest is that of the image there is.
    """

    source: SpecSource | None
    content_key: str

    @classmethod
    def of(cls, spec: CloudImageSpec, resolved: ResolvedSource | None = None) -> Self:
        """Return what a spec wants.

        Args:
            spec: The spec.
            resolved: What its source meant when it was last looked up; that of another selector
                does not count.

        Raises:
            ValueError: Its source is of a kind that is not known.
        """
        if spec.source is None and spec.adopt is not None:
            return cls(None, _digest(f"adopt:{spec.adopt.id}"))
        content = json.dumps(content_of(spec, resolved), sort_keys=True)
        return cls(_source(spec, resolved), _digest(content))


def _source(spec: CloudImageSpec, resolved: ResolvedSource | None) -> SpecSource:
    source = source_of(spec)
    # Also where it is no longer followed: the image stays what it was made from.
    if resolved is not None and resolved.selector == source.followed():
        return source.at(resolved)
    return source


def content_of(spec: CloudImageSpec, resolved: ResolvedSource | None = None) -> dict[str, object]:
    """Return what the bytes in Glance, and the stores that hold them, depend on, by its names.

    Raises:
        ValueError: Its source is of a kind that is not known.
    """
    parts: dict[str, object] = {
        **_source(spec, resolved).content(),
        "disk_format": spec.image.disk_format,
        "container_format": spec.image.container_format,
    }
    # Left out where they are not set: the key of what was made before they existed stays.
    if spec.image.compress:
        parts["compress"] = True
    if spec.customize:
        parts["customize"] = spec.customize.model_dump(
            mode="json", by_alias=True, exclude_defaults=True
        )
    if spec.import_ and spec.import_.stores:
        parts["stores"] = sorted(spec.import_.stores)
    return parts


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
