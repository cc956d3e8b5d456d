"""Requests to Nova and Neutron whose refusals tell what to change about a server."""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final

import requests
from openstack.connection import Connection

from cloudimage.access.failures import of_response
from cloudimage.cloud.answers import Page, pages
from cloudimage.cloud.errors import translated
from cloudimage.cloud.server_refusals import refusal

ABSENT: Final = (HTTPStatus.NOT_FOUND,)
"""There is no such thing, where that is fine."""


class Calls:
    """One service of a cloud.

    Attributes:
        service: ``compute`` or ``network``, as the SDK and the catalogue call it.
    """

    def __init__(self, connection: Connection, service: str) -> None:
        self._connection = connection
        self.service = service

    def project_id(self) -> str:
        """Return the credentials' own project.

        Raises:
            CloudError: Keystone did not say.
        """
        with translated("finding the own project"):
            return self._connection.session.get_project_id() or ""

    def send(  # noqa: PLR0913 - those of the SDK, and what a refusal needs
        self,
        method: str,
        path: str,
        doing: str,
        *,
        fine: tuple[HTTPStatus, ...] = (),
        json: Mapping[str, Any] | None = None,
        params: Mapping[str, str] | None = None,
        microversion: str | None = None,
    ) -> requests.Response:
        """Send a request and return its answer, a success or one that is fine as well.

        Args:
            method: Of HTTP.
            path: Below the service's endpoint.
            doing: Begins the message of a failure: "making the test server".
            fine: Further statuses that are no failure.
            json: The body.
            params: The query.
            microversion: The least that is needed; None: any.

        Raises:
            CloudError: The service refuses, or could not be asked.
        """
        with translated(doing):
            client = getattr(self._connection, self.service)
            response: requests.Response = client.request(
                path, method, json=json, params=params, microversion=microversion
            )
        if not response.ok and response.status_code not in fine:
            raise refusal(of_response(response), doing, response)
        return response

    def listed(
        self,
        path: str,
        key: str,
        doing: str,
        query: Mapping[str, str],
        microversion: str | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Yield what all pages of a listing have.

        Args:
            path: Below the service's endpoint.
            key: The member of the answer that is the list.
            doing: As for :meth:`send`.
            query: What is asked for.
            microversion: As for :meth:`send`.

        Raises:
            CloudError: The service refuses, or could not be asked.
        """

        def fetch(marker: str | None) -> Page:
            params = query if marker is None else {**query, "marker": marker}
            body = self.send("GET", path, doing, params=params, microversion=microversion).json()
            # Only that there is a next page is taken from the answer: a link may lead anywhere.
            return body[key], any(each["rel"] == "next" for each in body.get(f"{key}_links", ()))

        with translated(doing):
            yield from pages(fetch)
