"""A volume, as the pipeline reads any source."""

from collections.abc import Iterator
from contextlib import contextmanager

from cloudimage.transfer.source.base import Context
from cloudimage.transfer.source.snapshot.reader import SnapshotReader, opened, services_of
from cloudimage.transfer.source.volume.maker import VolumeMaker
from cloudimage.transfer.source.volume.model import VolumeSource


@contextmanager
def open_volume(source: VolumeSource, context: Context) -> Iterator[SnapshotReader]:
    """Open a volume; see :class:`cloudimage.transfer.source.base.Opener`."""
    services = services_of(source, context)
    with opened(source, services, VolumeMaker(source, services, context.limits), context) as reader:
        yield reader
