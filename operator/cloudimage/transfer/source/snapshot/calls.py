"""Requests to a service of a source's cloud, by the rules of :mod:`cloudimage.access`."""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Annotated, Any, Final, TypeVar

import requests
from pydantic import BaseModel, StringConstraints

from cloudimage.access.failures import EXCEPTIONS, Kind, of_exception
from cloudimage.transfer.interrupts import Interrupts
from cloudimage.transfer.source.glance.errors import BrokenError, translated
from cloudimage.transfer.source.snapshot.errors import answer_error

Id = Annotated[str, StringConstraints(pattern=r"^[\w-]{1,64}$")]
"""What may stand in a path."""

M = TypeVar("M", bound="Row")
T = TypeVar("T")

_SUCCESS: Final = frozenset(
    {HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.ACCEPTED, HTTPStatus.NO_CONTENT}
)
_GONE: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
_MOST_PAGES: Final = 200


class Row(BaseModel):
    """A thing of a cloud."""

    id: Id
    name: str | None = None
    status: str = ""


class Calls:
    """One service of a source's cloud; every failure is a ``TransferError``.

    Their reasons are ``SourceUnreachable``, ``SourceNotFound``, ``SourceRefused``, ``SourceBusy``,
    ``QuotaExceeded``, ``InvalidCredentials`` and ``CloudRefused``.

    Attributes:
        service: ``image``, ``compute`` or ``block_storage``, as the SDK calls it.
    """

    def __init__(self, connection: Any, service: str, interrupts: Interrupts) -> None:  # noqa: ANN401 - the SDK's
        self._connection = connection
        self._interrupts = interrupts
        self.service = service

    def project_id(self) -> str:
        """Return the credentials' project."""
        return whole(lambda: str(self._connection.session.get_project_id()), "log in")

    def is_offered(self) -> bool:
        """Return whether the cloud has the service."""

        def ask() -> bool:
            try:
                client = self._connection.config.get_session_client(self.service.replace("_", "-"))
                return client.get_endpoint() is not None
            except EXCEPTIONS as error:
                if of_exception(error).kind is Kind.MISCONFIGURED:
                    return False
                raise

        return whole(ask, f"say whether it has the service {self.service}")

    def send(
        self,
        method: str,
        path: str,
        doing: str,
        right: str,
        **arguments: Any,  # noqa: ANN401 - those of requests
    ) -> requests.Response:
        """Send a request and return its answer, which is a success.

        One that makes something is not broken off: it would be made after it was looked for.

        Args:
            method: Of HTTP.
            path: Below the service's endpoint.
            doing: What it does, for messages: "show server 1".
            right: The policy that allows it.
            arguments: Those of the SDK's request.
        """
        with self._interrupts.deferred():
            response = self.try_(method, path, doing, right, **arguments)
        if response.status_code in _GONE:
            raise answer_error(response, self.service, doing, right)
        return response

    def try_(
        self,
        method: str,
        path: str,
        doing: str,
        right: str,
        **arguments: Any,  # noqa: ANN401 - those of requests
    ) -> requests.Response:
        """Send a request and return its answer: a success, or that there is no such thing."""

        def ask() -> requests.Response:
            client = getattr(self._connection, self.service)
            response: requests.Response = client.request(path, method, **arguments)
            return response

        response = whole(ask, doing)
        if response.status_code not in _SUCCESS | _GONE:
            raise answer_error(response, self.service, doing, right)
        return response

    def show(self, kind: type[M], path: str, key: str | None, doing: str, right: str) -> M | None:
        """Return one thing; None: it is not there.

        Args:
            kind: Its model.
            path: Where it is.
            key: The member of the answer that it is; None: all of it.
            doing: As for :meth:`send`.
            right: Likewise.
        """
        response = self.try_("GET", path, doing, right)
        if response.status_code in _GONE:
            return None

        def parsed() -> M:
            body = response.json()
            return kind.model_validate(body if key is None else body[key])

        return whole(parsed, doing)

    def list(
        self, kind: type[M], path: str, key: str, query: Mapping[str, str], right: str
    ) -> list[M]:
        """Return the things that are listed, of all pages."""
        doing = f"list {key}"
        found: list[M] = []
        for _ in range(_MOST_PAGES):
            # A link to the next page may lead anywhere: only that there is one counts.
            page_of = {"marker": found[-1].id} if found else {}
            response = self.send("GET", path, doing, right, params={**query, **page_of})
            page, more = whole(lambda: _page(kind, response.json(), key), doing)  # noqa: B023 - at once
            found += page
            if not page or not more:
                break
        return found

    def delete(self, path: str, doing: str, right: str) -> None:
        """Delete a thing; gone already is fine."""
        self.try_("DELETE", path, doing, right)

    def id_of(self, response: requests.Response, *keys: str) -> str:
        """Return the id that an answer has below these keys."""

        def found() -> str:
            body = response.json()
            for key in keys:
                body = body[key]
            return Row.model_validate({"id": body}).id

        return whole(found, "say what it made")


def whole(ask: Callable[[], T], doing: str) -> T:
    """Return what a request gives, with the libraries' exceptions as ours.

    Raises:
        TransferError: As for :class:`Calls`.
    """
    try:
        with translated(doing):
            return ask()
    except BrokenError as broken:
        raise broken.error from broken


def _page(kind: type[M], body: Any, key: str) -> tuple[list[M], bool]:  # noqa: ANN401 - JSON
    rows = [kind.model_validate(each) for each in body[key]]
    links = body.get(f"{key}_links") or ()
    more = bool(body.get("next")) or any(each.get("rel") == "next" for each in links)
    return rows, more
