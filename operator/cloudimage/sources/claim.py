"""spec.source.persistentVolumeClaim: a file in a volume of the namespace."""

from collections.abc import Mapping
from dataclasses import dataclass

from cloudimage.api.sources.claim import PersistentVolumeClaimSource
from cloudimage.sources.base import FixedSource, Proof
from cloudimage.transfer import contract
from cloudimage.transfer.source.file.model import FileSource
from cloudimage.vocabulary.image import DiskFormat


@dataclass(frozen=True)
class PersistentVolumeClaimSpecSource(FixedSource):
    """A :class:`cloudimage.sources.base.SpecSource` of a file in a volume."""

    spec: PersistentVolumeClaimSource

    def location(self) -> str:
        """Return the path and the claim."""
        return f"{self.spec.path} of PersistentVolumeClaim {self.spec.claim_name}"

    def why_fixed(self) -> str:
        """Return that there is nothing to ask."""
        return "What is in a volume is not looked at beforehand: change trigger for another image."

    def references(self) -> tuple[()]:
        """Return that it needs no Secret or ConfigMap."""
        return ()

    def proof(self) -> Proof:
        """Return the checksum, if the spec has one."""
        return Proof(self._checksum)

    def declared_format(self) -> DiskFormat | None:
        """Return the format that is declared, if one is."""
        return self.spec.format

    def content(self) -> Mapping[str, object]:
        """Return what its bytes depend on: the checksum, as of any source, or else the place."""
        if checksum := self._checksum:
            return {"content": f"{checksum.algorithm}:{checksum.value}"}
        place = {"content": f"claim:{self.spec.claim_name}/{self.spec.path}"}
        return place | ({"trigger": self.spec.trigger} if self.spec.trigger else {})

    def request(self) -> FileSource:
        """Return it as a transfer takes it, in a Job that has the volume."""
        return FileSource(
            path=self.spec.path,
            claim=self.spec.claim_name,
            checksum=self._checksum,
            format=self.spec.format,
        )

    @property
    def _checksum(self) -> contract.Checksum | None:
        value = self.spec.sha256
        return contract.Checksum(algorithm="sha256", value=value.lower()) if value else None
