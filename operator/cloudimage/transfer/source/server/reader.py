"""A server, as the pipeline reads any source."""

from collections.abc import Iterator
from contextlib import contextmanager

from cloudimage.transfer.source.base import Context
from cloudimage.transfer.source.server.maker import ServerMaker
from cloudimage.transfer.source.server.model import ServerSource
from cloudimage.transfer.source.snapshot.reader import SnapshotReader, opened, services_of


@contextmanager
def open_server(source: ServerSource, context: Context) -> Iterator[SnapshotReader]:
    """Open a server; see :class:`cloudimage.transfer.source.base.Opener`."""
    services = services_of(source, context)
    with opened(source, services, ServerMaker(source, services, context.limits), context) as reader:
        yield reader
