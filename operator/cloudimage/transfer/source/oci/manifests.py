"""What manifests and indexes say, and which of their files is meant; pure.

OCI image spec 1.1 (https://github.com/opencontainers/image-spec), and Docker's manifests, schema 2.
"""

import hashlib
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from cloudimage.plaintext import plain
from cloudimage.transfer.contract import Checksum, Reason, TransferError
from cloudimage.transfer.image.archives import LARGEST_COMPANION, is_described
from cloudimage.vocabulary.oci import DIGEST

ACCEPTED: Final = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)

MOST_BYTES: Final = 4 * 2**20
"""What registries take of a manifest (OCI distribution spec 1.1, "Pushing Manifests")."""

_MOST_ENTRIES: Final = 4096
_MOST_LAYERS: Final = 128
"""More than Docker makes (127)."""

_CONFIGS: Final = frozenset(
    {
        "application/vnd.oci.image.config.v1+json",
        "application/vnd.docker.container.image.v1+json",
    }
)
"""Media types of what containers are started by: an artifact has another one."""

_EMPTY: Final = "application/vnd.oci.empty.v1+json"
"""Media type of what stands where an artifact has nothing."""

_TITLE: Final = "org.opencontainers.image.title"
_DISKS: Final = (
    *(".qcow2", ".img", ".raw", ".iso", ".vmdk", ".vdi", ".vhd", ".vhdx"),
    *(".gz", ".xz", ".zst", ".bz2", ".zip", ".tar", ".ova"),
)
_MOST_SHOWN: Final = 5

_Texts = Annotated[dict[str, str], BeforeValidator(lambda value: value or {})]


class Platform(BaseModel):
    """For which machines an image is."""

    architecture: str = ""
    os: str = ""
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(filter(None, (self.architecture, self.variant)))


class Descriptor(BaseModel):
    """What leads to a blob or a manifest; sizes in bytes."""

    media_type: str = Field(default="", alias="mediaType")
    digest: str = Field(pattern=rf"^(?:{DIGEST})$")
    size: int = Field(ge=0, lt=2**63)
    annotations: _Texts = {}
    platform: Platform | None = None

    @property
    def title(self) -> str:
        """The name of the file, if it has one."""
        return self.annotations.get(_TITLE, "")

    @property
    def checksum(self) -> Checksum:
        """What its bytes hash to."""
        return checksum_of(self.digest)


class _Document(BaseModel):
    """A manifest or an index, as it is sent."""

    schema_version: int = Field(default=0, alias="schemaVersion")
    manifests: Annotated[list[Descriptor], Field(max_length=_MOST_ENTRIES)] | None = None
    config: Descriptor | None = None
    layers: Annotated[list[Descriptor], Field(max_length=_MOST_LAYERS)] | None = None


@dataclass(frozen=True)
class Index:
    """Images of several architectures."""

    entries: tuple[Descriptor, ...]


@dataclass(frozen=True)
class Manifest:
    """One image.

    Attributes:
        config: Media type of its configuration.
        layers: From the lowest to the topmost.
    """

    config: str
    layers: tuple[Descriptor, ...]

    @property
    def is_container(self) -> bool:
        """Whether its layers are file systems, one above the other, and not files."""
        return self.config in _CONFIGS and not any(each.title for each in self.layers)


def checksum_of(digest: str) -> Checksum:
    """Return a digest as a checksum."""
    algorithm, _, value = digest.partition(":")
    return Checksum.model_validate({"algorithm": algorithm, "value": value})


def check(content: bytes, digest: str, where: str) -> None:
    """Compare the bytes of a manifest with its digest.

    Raises:
        TransferError: ``ChecksumMismatch``.
    """
    wanted = checksum_of(digest)
    found = hashlib.new(wanted.algorithm, content).hexdigest()
    if found != wanted.value:
        raise TransferError(
            Reason.CHECKSUM_MISMATCH,
            f"the {wanted.algorithm} of the manifest {where} is {found}, expected {wanted.value}",
        )


def parse(content: bytes, where: str) -> Index | Manifest:
    """Return what a registry sent as a manifest.

    Raises:
        TransferError: ``SourceNotAnImage``.
    """
    try:
        found = _Document.model_validate_json(content)
    except ValidationError as error:
        raise _no_disk(f"{where} has no manifest that can be read") from error
    if found.schema_version == 1:
        raise _no_disk(f"{where} has a manifest of Docker's schema 1, long gone; push it again")
    # What may be either is taken for the one by some and for the other by others (CVE-2021-41190).
    if (found.manifests is None) == (found.layers is None):
        raise _no_disk(f"{where} has no manifest of an image, nor an index of some")
    if found.manifests is not None:
        return Index(tuple(found.manifests))
    return Manifest(found.config.media_type if found.config else "", tuple(found.layers or ()))


def choose(index: Index, architecture: str, where: str) -> Descriptor:
    """Return the image of an index for an architecture, which may have a variant behind a slash.

    Raises:
        TransferError: ``SourceNotFound``.
    """
    known = [each for each in index.entries if each.platform and each.platform.os != "unknown"]
    if not known and len(index.entries) == 1:
        return index.entries[0]  # there is no choice, and nothing is said against it
    name, _, variant = architecture.partition("/")
    found = [
        each
        for each in known
        if each.platform and each.platform.architecture == name
        if variant in {"", each.platform.variant}
    ]
    # An image of the first variant may say none: the plainest is for most machines.
    found = [each for each in found if each.platform and not each.platform.variant] or found
    found = [each for each in found if each.platform and each.platform.os == "linux"] or found
    if len({each.digest for each in found}) == 1:
        return found[0]
    has = sorted({str(each.platform) for each in known})
    what = "none" if not found else "several"
    raise TransferError(
        Reason.SOURCE_NOT_FOUND,
        f"{where} has {what} for the architecture {architecture}, but {_listed(has)}. Set "
        "spec.source.oci.architecture, or name another image",
    )


def choose_blob(manifest: Manifest, path: str | None, where: str) -> Descriptor:
    """Return the file of an artifact that is meant.

    Args:
        manifest: The artifact.
        path: Its title; None: the only one that can be a disk.
        where: The image, for people.

    Raises:
        TransferError: ``SourceNotFound`` or ``SourceNotAnImage``.
    """
    files = [each for each in manifest.layers if each.media_type != _EMPTY and each.size]
    if not files:
        raise _no_disk(f"{where} has no file with a byte in it")
    titles = [each.title for each in files if each.title]
    if path is not None:
        found = [each for each in files if _parts(each.title) == _parts(path)]
        if not found:
            raise TransferError(
                Reason.SOURCE_NOT_FOUND, f"{where} has no file {plain(path)}, but {_listed(titles)}"
            )
    else:
        found = [each for each in files if not _is_companion(each)]
        found = [each for each in found if each.title.lower().endswith(_DISKS)] or found
        if not found:
            raise _no_disk(f"{where} has no disk, but {_listed(titles)}")
    if len({each.digest for each in found}) > 1:
        raise _no_disk(
            f"{where} has several disks ({_listed([each.title for each in found])}): give the "
            "title of one as spec.source.oci.path"
        )
    return found[0]


def _is_companion(file: Descriptor) -> bool:
    return bool(file.title) and file.size <= LARGEST_COMPANION and is_described(file.title)


def _parts(path: str) -> tuple[str, ...]:
    return tuple(each for each in PurePosixPath(path).parts if each != "/")


def _listed(names: list[str]) -> str:
    if not names:
        return "nothing that has a name"
    more = ", ..." if len(names) > _MOST_SHOWN else ""
    return (
        plain(", ".join(each[:80] or "one without a title" for each in names[:_MOST_SHOWN])) + more
    )


def _no_disk(why: str) -> TransferError:
    return TransferError(Reason.SOURCE_NOT_AN_IMAGE, why)
