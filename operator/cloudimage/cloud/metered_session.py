"""A session that measures how long OpenStack takes to answer.

openstacksdk has a reporter of its own (``prometheus_config``), but it labels by the whole path, so
that each image's id would be a series for ever, and it sees neither logins nor requests that get
no answer.
"""

import time
import weakref
from collections.abc import Mapping
from typing import Any, Final

import requests
from keystoneauth1.exceptions import ConnectFailure, HttpError

from cloudimage.access.session import BoundedSession
from cloudimage.metrics import operator as metrics

NO_ANSWER: Final = "none"


class ObservedSession(BoundedSession):
    """Observes each request; a login within one is a request of its own."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # keystoneauth's own
        super().__init__(*args, **kwargs)
        self._counted: weakref.WeakSet[Exception] = weakref.WeakSet()

    def request(self, url: str, method: str, *args: Any, **kwargs: Any) -> requests.Response:  # noqa: ANN401  # keystoneauth's own
        """Send a request, as keystoneauth's session does."""
        service = service_of(method, kwargs.get("endpoint_filter"))
        began = time.monotonic()
        try:
            response = super().request(url, method, *args, **kwargs)
        except HttpError as error:
            if error.response is not None and self._is_first(error):
                _observe(service, method, error.response)
            raise
        except ConnectFailure as error:
            if self._is_first(error):
                seconds = time.monotonic() - began
                metrics.REQUEST_SECONDS.labels(service, method, NO_ANSWER).observe(seconds)
            raise
        _observe(service, method, response)
        return response

    def _is_first(self, error: Exception) -> bool:
        """Return whether it is not yet counted: the login within a request may have raised it."""
        known = error in self._counted
        self._counted.add(error)
        return not known


def service_of(method: str, endpoint_filter: Mapping[str, Any] | None) -> str:
    """Return the type of the service that a request is for.

    keystoneauth gives none for two kinds of requests: it logs in by POST, and asks a service for
    its versions by GET.
    """
    if endpoint_filter and endpoint_filter.get("service_type"):
        return str(endpoint_filter["service_type"])
    return "identity" if method == "POST" else "discovery"


def _observe(service: str, method: str, response: requests.Response) -> None:
    # Until the headers came: without the body, and without a login before it.
    seconds = response.elapsed.total_seconds()
    status = f"{response.status_code // 100}xx"
    metrics.REQUEST_SECONDS.labels(service, method, status).observe(seconds)
