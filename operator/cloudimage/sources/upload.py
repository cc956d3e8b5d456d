"""spec.source.upload: a file that a person uploads."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cloudimage.api.sources.upload import UploadSource
from cloudimage.sources.base import FixedSource, Proof
from cloudimage.transfer import contract
from cloudimage.transfer.source.file.model import FileSource

_CONTENT: Final = "upload"


@dataclass(frozen=True)
class UploadSpecSource(FixedSource):
    """A :class:`cloudimage.sources.base.SpecSource` of a file that a person uploads.

    The operator starts no transfer of it: ``cloudimage upload`` does.
    """

    spec: UploadSource

    def location(self) -> str:
        """Return that a person has it."""
        return "uploaded by hand"

    def why_fixed(self) -> str:
        """Return that there is nothing to ask."""
        return "A person has the file: nothing can be asked for another one."

    def references(self) -> tuple[()]:
        """Return that it needs no Secret or ConfigMap."""
        return ()

    def proof(self) -> Proof:
        """Return the checksum, if the spec has one."""
        return Proof(self._checksum)

    def declared_format(self) -> None:
        """Return that the spec declares none; who uploads may."""

    def content(self) -> Mapping[str, object]:
        """Return what its bytes depend on: the checksum, as of any source that has one."""
        checksum = self._checksum
        return {"content": f"{checksum.algorithm}:{checksum.value}" if checksum else _CONTENT}

    def request(self) -> FileSource:
        """Return it as a transfer takes it, for a file that is yet to be named."""
        return FileSource(path="FILE", checksum=self._checksum)

    @property
    def _checksum(self) -> contract.Checksum | None:
        value = self.spec.sha256
        return contract.Checksum(algorithm="sha256", value=value.lower()) if value else None
