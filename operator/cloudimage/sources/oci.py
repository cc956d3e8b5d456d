"""spec.source.oci: a disk in an image of a container registry."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

from cloudimage.api.image import Image
from cloudimage.api.sources.oci import OciSource
from cloudimage.sources.base import MovingSource, Proof, Reference
from cloudimage.sources.parts import text_reference
from cloudimage.transfer.source.oci import model
from cloudimage.vocabulary.oci import DEFAULT_ARCHITECTURE, ImageName, architecture, parse


@dataclass(frozen=True)
class OciSpecSource(MovingSource):
    """A :class:`cloudimage.sources.base.SpecSource` of a disk in a registry's image.

    Attributes:
        default_architecture: Of the image in Glance, where the source itself has none.
    """

    spec: OciSource
    default_architecture: str = DEFAULT_ARCHITECTURE

    def made_into(self, image: Image) -> Self:
        """Return the source with what the image in Glance says of its architecture."""
        told = (image.properties or {}).get("architecture", DEFAULT_ARCHITECTURE)
        return replace(self, default_architecture=told)

    def location(self) -> str:
        """Return the image's name, with the digest that it stands for as far as that is known."""
        return str(self._name)

    def why_fixed(self) -> str:
        """Return that a digest is, if there is one."""
        if parse(self.spec.image, self.spec.digest).digest is None:
            return ""
        return "A digest means the same image for good: name a tag alone in spec.source.oci."

    def references(self) -> tuple[Reference, ...]:
        """Return its pull Secret and its certificate.

        The Secret itself says for which registries its credentials are.
        """
        found = []
        if self.spec.pull_secret:
            secret = Reference(
                model.PULL_SECRET, "Secret", self.spec.pull_secret, model.DOCKER_CONFIG
            )
            found.append(secret)
        if self.spec.ca_certificate:
            found.append(text_reference(model.CA, self.spec.ca_certificate))
        return tuple(found)

    def proof(self) -> Proof:
        """Return that its manifest proves its bytes, and the digest that; a tag may be moved."""
        return Proof(teller="the image's manifest", lasting=self._name.digest is not None)

    def declared_format(self) -> None:
        """Return that the spec declares none."""

    def content(self) -> Mapping[str, object]:
        """Return what its bytes depend on.

        With a digest its name does not count: another registry's copy needs no new image.
        """
        name = parse(self.spec.image, self.spec.digest or self.version)
        parts = {"content": f"oci:{name.digest or name}", "architecture": self._architecture}
        return parts | ({"path": self.spec.path} if self.spec.path else {})

    def request(self) -> model.OciSource:
        """Return it as a transfer takes it."""
        return model.OciSource(
            image=self.spec.image,
            digest=self._digest,
            path=self.spec.path,
            architecture=self._architecture,
        )

    @property
    def _name(self) -> ImageName:
        return parse(self.spec.image, self._digest)

    @property
    def _digest(self) -> str | None:
        return self.spec.digest or (self.found.version if self.found else None)

    @property
    def _architecture(self) -> str:
        return architecture(self.spec.architecture or self.default_architecture)
