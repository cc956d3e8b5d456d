"""The Lease that operators compete for: one adapter over the official client."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

import kubernetes
from kubernetes.client import ApiException
from urllib3.exceptions import HTTPError

from cloudimage.leader_election.rules import Lease, Terms

API_ERRORS: Final = (ApiException, HTTPError)
"""Errors that any request here may raise: an error response, or no response."""


@dataclass
class Leases:
    """The few requests for one Lease and those beside it; each may raise :data:`API_ERRORS`."""

    terms: Terms
    _api: kubernetes.client.CoordinationV1Api = field(init=False, repr=False)

    def __post_init__(self) -> None:
        configuration = kubernetes.client.Configuration.get_default_copy()
        # Urllib3 would try three times more, each for as long as it may take.
        configuration.retries = False
        client = kubernetes.client.ApiClient(configuration)
        self._api = kubernetes.client.CoordinationV1Api(client)

    def read(self) -> Lease | None:
        """Return the Lease as it is now, or None."""
        try:
            answer: Any = self._api.read_namespaced_lease(
                self.terms.name,
                self.terms.namespace,
                # As it is: the client's own times lose the decimals that the API server demands.
                _preload_content=False,
                _request_timeout=self.terms.answer_within,
            )
        except ApiException as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise
        return Lease.parsed(json.loads(answer.data))

    def read_all(self) -> list[Lease]:
        """Return every Lease of the namespace as it is now."""
        answer: Any = self._api.list_namespaced_lease(
            self.terms.namespace,
            _preload_content=False,
            _request_timeout=self.terms.answer_within,
        )
        return [Lease.parsed(each) for each in json.loads(answer.data)["items"]]

    def create(self, body: Mapping[str, Any]) -> None:
        """Create it; refused when there is one."""
        self._api.create_namespaced_lease(
            self.terms.namespace,
            body,  # type: ignore[arg-type]  # to the client it is a V1Lease
            _request_timeout=self.terms.answer_within,
        )

    def replace(self, body: Mapping[str, Any]) -> None:
        """Write a Lease; refused when it has changed since it was read."""
        self._api.replace_namespaced_lease(
            body["metadata"]["name"],
            self.terms.namespace,
            body,  # type: ignore[arg-type]  # to the client it is a V1Lease
            _request_timeout=self.terms.answer_within,
        )
