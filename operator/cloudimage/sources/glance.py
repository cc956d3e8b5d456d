"""spec.source.glance: an image of another project, region or cloud."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from cloudimage.api.resolved_source import ResolvedSource
from cloudimage.api.sources.glance import GlanceSource
from cloudimage.sources.base import AskedBy, Proof, Reference, digest_of
from cloudimage.transfer.source.glance import model


@dataclass(frozen=True)
class GlanceSpecSource:
    """A :class:`cloudimage.sources.base.SpecSource` of an image of a Glance.

    Attributes:
        found: Id of the image that the name or the filter stands for; None: not looked up yet.
    """

    spec: GlanceSource
    found: str | None = None

    def location(self) -> str:
        """Return the image's id, or what selects it, and the cloud that has it."""
        ref, name = self.spec.cloud_credentials_ref, self.spec.name
        image = self._id or (json.dumps(name, ensure_ascii=False) if name else "by a filter")
        return f"image {image}" + (f" of cloud {ref.cloud_name}" if ref else "")

    def references(self) -> tuple[Reference, ...]:
        """Return the Secret of its cloud, if that is not the object's own."""
        ref = self.spec.cloud_credentials_ref
        return (Reference(model.SOURCE_CLOUD, "Secret", ref.secret_name),) if ref else ()

    def proof(self) -> Proof:
        """Return that its Glance says what proves its bytes."""
        return Proof(teller="the source's Glance")

    def declared_format(self) -> None:
        """Return that the spec declares none: its Glance does."""

    def selector(self) -> str | None:
        """Return a digest of the name or the filter, and of the cloud, or None for an id."""
        if self.spec.id is not None:
            return None
        given = self.spec.model_copy(update={"copy_metadata": False})
        return digest_of(given.to_json())

    def followed(self) -> str | None:
        """Return the selector: the bytes of an id never change."""
        return self.selector()

    def why_fixed(self) -> str:
        """Return that an id is, if there is one."""
        if self.spec.id is None:
            return ""
        return "The bytes of an image's id never change: give a name or a filter in its place."

    def asked_by(self) -> AskedBy:
        """Return the operator."""
        return AskedBy.OPERATOR

    def is_current(self) -> bool:
        """Return True: a name or a filter is what it stands for now."""
        return True

    def is_older(self, version: str, other: str) -> bool:  # noqa: ARG002 - ids have no order
        """Return False."""
        return False

    def unresolved(self) -> model.GlanceSource:
        """Return nothing: names and filters are looked up by the operator."""
        raise ValueError("unreachable: no look is needed")

    def at(self, found: ResolvedSource) -> "GlanceSpecSource":
        """Return the source with the id of its image."""
        return replace(self, found=found.version)

    def content(self) -> Mapping[str, object]:
        """Return what its bytes depend on: Glance takes those of an id once, for ever.

        The credentials do not count: new ones, for the same image, need no new image here.
        """
        return {"content": f"glance:{self._id or self.selector()}"}

    def request(self) -> model.GlanceSource:
        """Return it as a transfer takes it.

        Raises:
            ValueError: Its image was not looked up.
        """
        if self._id is None:
            raise ValueError("unreachable: a transfer starts once the image is known")
        ref = self.spec.cloud_credentials_ref
        return model.GlanceSource(id=self._id, cloud_name=ref.cloud_name if ref else None)

    @property
    def _id(self) -> str | None:
        return self.spec.id.lower() if self.spec.id else self.found
