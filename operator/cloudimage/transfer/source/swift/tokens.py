"""The endpoint and the tokens of a source cloud's Swift, by the rules of access."""

import json

import requests

from cloudimage.transfer.contract import Cloud, TransferError
from cloudimage.transfer.source.base import Context
from cloudimage.transfer.source.glance.client import connected
from cloudimage.transfer.source.glance.errors import BrokenError, translated
from cloudimage.transfer.source.http.client import UnansweredError
from cloudimage.transfer.source.swift import rules
from cloudimage.transfer.source.swift.model import SwiftSource

_REFUSED = 401


class ObjectCredentials:
    """:class:`cloudimage.transfer.source.http.credentials.Credentials` of an object's URL.

    Attributes:
        identity: Who asks.
        tag: The object's entity tag once it is known: every request is for those bytes.
    """

    def __init__(self, source: SwiftSource, cloud: Cloud, context: Context) -> None:
        """Prepare.

        Raises:
            TransferError: ``InvalidCredentials``.
        """
        self.identity = f"swift:{json.dumps(cloud.config, sort_keys=True)}"
        self.tag: str | None = None
        self._source = source
        self._connection = connected(cloud, context.cloud_policy, context.folder)

    def url(self) -> str:
        """Return where the object is, by the catalogue, or by the entry of the cloud.

        Raises:
            TransferError: As for a login, or ``InvalidCredentials`` where there is no Swift.
        """
        try:
            with translated("find its object-store service"):
                endpoint = self._connection.object_store.get_endpoint()
                found = self._connection.session.replaced(endpoint) if endpoint else None
        except BrokenError as broken:
            raise broken.error from broken
        return rules.object_url(found, self._source)

    def show(self, request: requests.PreparedRequest) -> None:
        """Ask for one version of the object, with a token, which is fetched at first."""
        if self.tag is not None and "If-None-Match" not in request.headers:
            request.headers["If-Match"] = self.tag
        try:
            with translated("get a token"):
                request.headers["X-Auth-Token"] = self._connection.session.get_token()
        except BrokenError as broken:
            raise UnansweredError(broken.error) from broken

    def renew(self, response: requests.Response) -> bool:
        """Forget a token that is refused, so that the next request fetches another."""
        if response.status_code != _REFUSED:
            return False
        self._connection.session.invalidate()
        return True

    def explain(self, response: requests.Response, _body: bytes) -> TransferError | None:
        """Return what a status of Swift means."""
        return rules.refusal(self._source, response.status_code)
