"""A disk in a registry's image, as the pipeline reads any source."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from cloudimage.sizes import size_text
from cloudimage.transfer.contract import Checksum, NewImage, Reason, Stage, TransferError
from cloudimage.transfer.image.expansion import extract
from cloudimage.transfer.source.base import Context, Ends, Reader, Stream
from cloudimage.transfer.source.hashes import Fetched
from cloudimage.transfer.source.http.reader import HttpReader
from cloudimage.transfer.source.oci import manifests
from cloudimage.transfer.source.oci.layers import DiskInLayers
from cloudimage.transfer.source.oci.manifests import Descriptor
from cloudimage.transfer.source.oci.model import OciSource
from cloudimage.transfer.source.oci.registry import Registry, Resolved
from cloudimage.transfer.verify.verification import Expected


@contextmanager
def open_oci(source: OciSource, context: Context) -> Iterator["OciReader"]:
    """Open a disk in a registry's image; see :class:`cloudimage.transfer.source.base.Opener`."""
    with Registry(source, context) as registry:
        yield OciReader(source, registry, context)


class OciReader:
    """A :class:`cloudimage.transfer.source.base.Reader` of a disk in a registry's image.

    A file of an artifact is a file behind a URL, and read as such; so are the layers that a
    container's disk is in.
    """

    def __init__(self, source: OciSource, registry: Registry, context: Context) -> None:
        self._source = source
        self._registry = registry
        self._context = context
        self._reader: Reader

    def expect(self) -> Expected:
        """Find out which bytes the image's name stands for."""
        found = self._registry.resolve()
        try:
            self._reader = self._chosen(found)
        except TransferError:
            self._context.meter.start(Stage.INSPECTING)  # of a manifest that is proven
            raise
        return replace(self._reader.expect(), version=found.digest)

    def _chosen(self, found: Resolved) -> Reader:
        where, manifest = str(self._source.name), found.manifest
        if manifest.is_container:
            _check_size(manifest.layers, self._context)
            layers = tuple(map(self._blob, reversed(manifest.layers)))
            return _LayersReader(layers, self._source, found, self._context)
        file = manifests.choose_blob(manifest, self._source.path, where)
        _check_size((file,), self._context)
        return self._blob(file)

    def _blob(self, file: Descriptor) -> HttpReader:
        return HttpReader(self._registry.blob(file), self._registry.client, self._context)

    def look(self, min_disk: int | None) -> Ends:
        """Return what the ends of an artifact's file tell."""
        return self._reader.look(min_disk)

    def discarding(self) -> AbstractContextManager[None]:
        """Forget the kept blobs if the block fails because of their bytes."""
        return self._reader.discarding()

    def is_kept(self) -> bool:
        """Return whether a blob, or a part of it, is in the scratch already."""
        return self._reader.is_kept()

    def stream(self, image: NewImage) -> Stream | None:
        """Return an artifact's file if it is raw and its server gives parts of it."""
        return self._reader.stream(image)

    def can_fetch_after(self, error: TransferError) -> bool:
        """Return whether the scratch helps."""
        return self._reader.can_fetch_after(error)

    def fetch(self, target: Path) -> Fetched:
        """Put the disk at ``target``."""
        return self._reader.fetch(target)


class _LayersReader:
    """A disk in the layers of a container image.

    What is fetched is, for its checksum, the manifest: it proves all layers.
    """

    def __init__(
        self, layers: tuple[HttpReader, ...], source: OciSource, found: Resolved, context: Context
    ) -> None:
        """Prepare.

        Args:
            layers: From the topmost down.
            source: The image.
            found: Its manifest.
            context: The transfer's.
        """
        self._layers = layers
        self._source = source
        self._size = sum(each.size for each in found.manifest.layers)
        self._checksum = Checksum(algorithm="sha256", value=found.sha256)
        self._context = context

    def expect(self) -> Expected:
        for each in self._layers:
            each.expect()
        return Expected(self._checksum)

    def look(self, _min_disk: int | None) -> Ends:
        why = "it is in a layer of a container image, and known only once that is fetched"
        return Ends(self._size, why_unknown=why)

    @contextmanager
    def discarding(self) -> Iterator[None]:
        with ExitStack() as stack:
            for each in self._layers:
                stack.enter_context(each.discarding())
            yield

    def is_kept(self) -> bool:
        return any(each.is_kept() for each in self._layers)

    def stream(self, _image: NewImage) -> None:
        return None

    def can_fetch_after(self, _error: TransferError) -> bool:
        return True

    def fetch(self, target: Path) -> Fetched:
        context, size = self._context, 0
        disk = DiskInLayers(self._source.path, str(self._source.name))
        for each in self._layers:
            if disk.is_settled:
                break
            layer, taken = context.folder / "layer", context.folder / "taken"
            size += each.fetch(layer).size
            limits, tools, meter, cache = (
                context.limits,
                context.tools,
                context.meter,
                context.cache,
            )
            extract(layer, taken, disk.take, limits, tools, meter, cache)
            if taken.exists():
                taken.replace(target)
        disk.check()
        return Fetched(size, {"sha256": self._checksum.value})


def _check_size(files: tuple[Descriptor, ...], context: Context) -> None:
    """Compare what would be fetched with what is allowed, before any of it is."""
    size, most = sum(each.size for each in files), context.limits.max_download
    if size > most:
        raise TransferError(
            Reason.IMAGE_TOO_LARGE,
            f"the source has {size_text(size)}, over the download limit of {size_text(most)}",
        )
