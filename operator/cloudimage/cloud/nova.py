"""Nova: which servers use an image; those that only test whether it boots do not."""

import logging
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from openstack.connection import Connection
from openstack.exceptions import raise_from_response

from cloudimage.cloud.answers import Page, name, pages, typed
from cloudimage.cloud.catalogue import offers
from cloudimage.cloud.errors import ForbiddenError, NotAcceptedError, translated
from cloudimage.cloud.models import Server, ServerChange, ServerChanges, Usage
from cloudimage.http_dates import moment
from cloudimage.vocabulary.boot_test import is_test

logger = logging.getLogger(__name__)

_SOFT_DELETED: Final = {"status": "SOFT_DELETED", "changes-since": "1970-01-01T00:00:00Z"}
"""Servers that Nova keeps for its ``reclaim_instance_interval``, so that they can be restored.

Nova leaves them out of every list but one of changes; ``deleted`` and ``soft_deleted`` are for
administrators and ignored for others. See "changes-since" of "List Servers Detailed" in its API
reference."""


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

        Returns:
            The servers. Its scope is Refused where Nova refuses these credentials (401, 403).

        Raises:
            CloudError: Nova could not be asked; that is never the same as "none".
        """
        if not offers(self._connection, "compute"):
            return Usage((), "NoCompute")
        try:
            if self._may_see_all:
                try:
                    return Usage(self._servers(image_id, all_projects=True), "AllProjects")
                except ForbiddenError:
                    self._may_see_all = False
            return Usage(self._servers(image_id, all_projects=False), "OwnProject")
        except (ForbiddenError, NotAcceptedError) as error:
            logger.info("Nova lists no servers", extra={"image": image_id, "error": str(error)})
            return Usage((), "Refused")

    def changes(self, since: datetime) -> ServerChanges | None:
        """Return the servers that were changed or deleted since then; None: Nova lists none.

        Raises:
            CloudError: Nova could not be asked; that is never the same as "none".
        """
        if not offers(self._connection, "compute"):
            return None
        try:
            if self._may_see_all:
                try:
                    return self._changes(since, all_projects=True)
                except ForbiddenError:
                    self._may_see_all = False
            return self._changes(since, all_projects=False)
        except (ForbiddenError, NotAcceptedError):
            return None

    def _changes(self, since: datetime, *, all_projects: bool) -> ServerChanges:
        query = {"changes-since": f"{since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"}
        dates: list[datetime | None] = []
        fetch = self._fetch(query | ({"all_tenants": "True"} if all_projects else {}), dates)
        with translated("listing the servers that were changed"):
            servers = tuple(_change(each) for each in pages(fetch))
        return ServerChanges(servers, dates[0])

    def _servers(self, image_id: str, *, all_projects: bool) -> tuple[Server, ...]:
        query = {"image": image_id} | ({"all_tenants": "True"} if all_projects else {})
        found = [*self._listed(image_id, query), *self._listed(image_id, query | _SOFT_DELETED)]
        return tuple({each.id: each for each in found}.values())

    def _fetch(
        self, query: Mapping[str, str], dates: list[datetime | None]
    ) -> Callable[[str | None], Page]:
        """Return what fetches a page of servers, and adds when Nova answered to ``dates``."""

        def fetch(marker: str | None) -> Page:
            params = query if marker is None else {"marker": marker, **query}
            response = self._connection.compute.get("/servers/detail", params=params)
            raise_from_response(response)
            body = response.json()
            dates.append(moment(response.headers.get("Date")))
            # Only that there is a next page is taken from the answer: a link may lead anywhere.
            return body["servers"], any(
                each["rel"] == "next" for each in body.get("servers_links", ())
            )

        return fetch

    def _listed(self, image_id: str, query: Mapping[str, str]) -> Iterator[Server]:
        fetch = self._fetch(query, [])
        with translated(f"listing the servers of image {image_id}"):
            own = self._connection.session.get_project_id()
            yield from (_server(each) for each in pages(fetch) if not is_of_test(each, own))


def is_of_test(body: dict[str, Any], project_id: str | None) -> bool:
    """Return whether a server is one of ours that tests an image.

    Anybody can copy its name and metadata, so only a server of the credentials' own project is.

    Raises:
        TypeError: The body does not describe a server.
    """
    metadata = body.get("metadata") or {}
    return body.get("tenant_id") == project_id and is_test(name(body.get("name")), metadata)


def _change(body: dict[str, Any]) -> ServerChange:
    image = body.get("image") or {}  # "" of a server that was booted from a volume
    return typed(
        ServerChange,
        id=body["id"],
        image_id=image.get("id"),
        is_gone=body.get("status") == "DELETED",
    )


def _server(body: dict[str, Any]) -> Server:
    return typed(
        Server,
        id=body["id"],
        name=name(body.get("name")),
        project_id=name(body.get("tenant_id")),
        is_soft_deleted=body.get("status") == "SOFT_DELETED",
    )
