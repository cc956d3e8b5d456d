"""spec.source.server: a snapshot of a server."""

from collections.abc import Mapping

from cloudimage.api.sources.server import ServerSource
from cloudimage.sources.snapshot import SnapshotSpecSource, named
from cloudimage.transfer.source.server import model


class ServerSpecSource(SnapshotSpecSource[ServerSource]):
    """A :class:`cloudimage.sources.base.SpecSource` of a server."""

    def location(self) -> str:
        """Return the server, and the cloud that has it."""
        return self.location_of(named("server", self.spec.name, self.spec.id))

    def content(self) -> Mapping[str, object]:
        """Return what decides whether another snapshot is taken."""
        return self.content_of("server", self.spec.id)

    def request(self) -> model.ServerSource:
        """Return it as a transfer takes it."""
        return model.ServerSource(
            id=self.spec.id and self.spec.id.lower(),
            name=self.spec.name,
            quiesce=self.spec.quiesce.value,
            stop_first=self.spec.stop_first,
            cloud_name=self.cloud_name,
        )
