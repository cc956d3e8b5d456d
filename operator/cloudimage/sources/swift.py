"""spec.source.swift: an object of a Swift container."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from cloudimage.api.sources.swift import SwiftSource
from cloudimage.sources.base import MovingSource, Proof, Reference
from cloudimage.sources.parts import checksum_of
from cloudimage.transfer.source.glance.model import SOURCE_CLOUD
from cloudimage.transfer.source.swift import model
from cloudimage.vocabulary.image import DiskFormat


@dataclass(frozen=True)
class SwiftSpecSource(MovingSource):
    """A :class:`cloudimage.sources.base.SpecSource` of an object of a Swift container."""

    spec: SwiftSource

    def location(self) -> str:
        """Return the object, its container, and the cloud that has it."""
        ref = self.spec.cloud_credentials_ref
        place = f"object {self.spec.container}/{self.spec.object}"
        return place + (f" of cloud {ref.cloud_name}" if ref else "")

    def why_fixed(self) -> str:
        """Return that a checksum is, if there is one."""
        if checksum_of(self.spec.checksum) is None:
            return ""
        return "No other bytes fit a checksum: remove spec.source.swift.checksum."

    def references(self) -> tuple[Reference, ...]:
        """Return the Secret of its cloud, if that is not the object's own."""
        ref = self.spec.cloud_credentials_ref
        return (Reference(SOURCE_CLOUD, "Secret", ref.secret_name),) if ref else ()

    def proof(self) -> Proof:
        """Return the checksum of the spec, else that Swift says what proves the bytes."""
        checksum = checksum_of(self.spec.checksum)
        if checksum:
            return Proof(checksum)
        return Proof(teller="the source's Swift", lasting=self.found is not None)

    def declared_format(self) -> DiskFormat | None:
        """Return the format that is declared, if one is."""
        return self.spec.format

    def content(self) -> Mapping[str, object]:
        """Return what its bytes depend on: the checksum, else the object and its cloud.

        Which cloud that is, and which project, the spec says by the Secret's name alone.
        """
        checksum = self.proof().checksum
        if checksum:
            return {"content": f"{checksum.algorithm}:{checksum.value}"}
        ref = self.spec.cloud_credentials_ref
        cloud = [ref.secret_name, ref.cloud_name] if ref else []
        place = [*cloud, self.spec.container, self.spec.object]
        content = {"content": f"swift:{json.dumps(place)}"}
        return content | ({"version": self.version} if self.version else {})

    def request(self) -> model.SwiftSource:
        """Return it as a transfer takes it."""
        ref = self.spec.cloud_credentials_ref
        return model.SwiftSource(
            cloud_name=ref.cloud_name if ref else None,
            container=self.spec.container,
            object=self.spec.object,
            checksum=checksum_of(self.spec.checksum),
            format=self.spec.format,
        )
