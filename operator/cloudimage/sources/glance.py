"""spec.source.glance: an image of another project, region or cloud."""

from collections.abc import Mapping
from dataclasses import dataclass

from cloudimage.api.source import GlanceSource
from cloudimage.sources.base import Proof, Reference
from cloudimage.transfer.source.glance import model


@dataclass(frozen=True)
class GlanceSpecSource:
    """A :class:`cloudimage.sources.base.SpecSource` of an image of a Glance."""

    spec: GlanceSource

    def location(self) -> str:
        """Return the image's id, and the cloud that has it."""
        ref = self.spec.cloud_credentials_ref
        return f"image {self._id}" + (f" of cloud {ref.cloud_name}" if ref else "")

    def references(self) -> tuple[Reference, ...]:
        """Return the Secret of its cloud, if that is not the object's own."""
        ref = self.spec.cloud_credentials_ref
        return (Reference(model.SOURCE_CLOUD, "Secret", ref.secret_name),) if ref else ()

    def proof(self) -> Proof:
        """Return that its Glance says what proves its bytes."""
        return Proof(teller="the source's Glance")

    def content(self) -> Mapping[str, object]:
        """Return what its bytes depend on: Glance takes those of an id once, for ever.

        The credentials do not count: new ones, for the same image, need no new image here.
        """
        return {"content": f"glance:{self._id}"}

    def request(self) -> model.GlanceSource:
        """Return it as a transfer takes it."""
        ref = self.spec.cloud_credentials_ref
        return model.GlanceSource(id=self._id, cloud_name=ref.cloud_name if ref else None)

    @property
    def _id(self) -> str:
        return self.spec.id.lower()
