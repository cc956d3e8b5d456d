"""A file of a mounted file system, as a transfer's request has it."""

from pathlib import Path, PurePosixPath
from typing import Literal, Self

from pydantic import field_validator

from cloudimage.transfer.contract import Source


def check_path(path: str) -> str:
    """Return a path that stays in the folder that it is relative to.

    Raises:
        ValueError: It is absolute, empty, or has a part that leads elsewhere.
    """
    parts = path.split("/")
    if "\0" in path or any(part in {"", ".", ".."} for part in parts):
        raise ValueError("must be relative, without . or .. or empty parts")
    return str(PurePosixPath(*parts))


class FileSource(Source):
    """A file.

    Attributes:
        root: The folder that it is in; of a volume it is known where that is mounted.
        path: Its place there; no link on the way is followed.
        claim: Name of the PersistentVolumeClaim that has to be mounted; None: the folder is there.
    """

    type: Literal["file"] = "file"
    root: Path = Path()
    path: str
    claim: str | None = None

    _checked = field_validator("path")(check_path)

    def volume_claim(self) -> str | None:
        """Return the PersistentVolumeClaim, if the file is in one."""
        return self.claim

    def mounted_at(self, folder: Path) -> Self:
        """Return the file in its volume, if it is in one."""
        return self.model_copy(update={"root": folder}) if self.claim else self
