"""Nova: which servers use an image."""

from openstack.connection import Connection

from cloudimage.cloud.catalogue import offers
from cloudimage.cloud.errors import ForbiddenError, translated
from cloudimage.cloud.types import Server, Usage


class Nova:
    """The compute service, as far as the credentials can see it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._may_see_all = True

    def usage(self, image_id: str) -> Usage:
        """Return the servers made from the image: of all projects where the policy allows it.

        Servers booted from a volume do not name an image; their volumes do: see
        :mod:`cloudimage.cloud.cinder`. A right that was granted after it was missed once is noticed
        by the next connection.

        Raises:
            CloudError: Nova could not be asked; that is never the same as "none".
        """
        if not offers(self._connection, "compute"):
            return Usage((), "NoCompute")
        if self._may_see_all:
            try:
                return Usage(self._servers(image_id, all_projects=True), "AllProjects")
            except ForbiddenError:
                self._may_see_all = False
        return Usage(self._servers(image_id, all_projects=False), "OwnProject")

    def _servers(self, image_id: str, *, all_projects: bool) -> tuple[Server, ...]:
        with translated(f"listing the servers of image {image_id}"):
            listed = self._connection.compute.servers(image=image_id, all_projects=all_projects)
            return tuple(Server(each.id, each.name or "", each.project_id or "") for each in listed)
