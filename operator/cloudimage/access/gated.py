"""requests' transport over a gate, which judges every address that is connected to."""

import socket
from abc import ABC, abstractmethod
from typing import Any, Protocol

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.utils import select_proxy


class Gate(Protocol):
    """Decides where a session may connect to."""

    def check_behind_proxy(self, host: str) -> None:
        """Raise if the policy does not allow a host that the proxy will resolve."""


class GatedAdapter(HTTPAdapter, ABC):
    """Has each connection made by a gate, be it direct or by a proxy of the environment."""

    def __init__(self, gate: Gate) -> None:
        self._judge = gate
        super().__init__()

    @abstractmethod
    def pools(self, *, checked: bool) -> dict[str, type[urllib3.HTTPConnectionPool]]:
        """Return the pools by scheme, whose connections the gate makes, checked or not."""

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - as inherited
        """Have direct connections checked."""
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = self.pools(checked=True)

    def proxy_manager_for(self, proxy: str, **options: Any) -> urllib3.ProxyManager:  # noqa: ANN401 - as inherited
        """Leave the proxy's own address alone: whoever runs this process chose it."""
        manager: urllib3.ProxyManager = super().proxy_manager_for(proxy, **options)
        manager.pool_classes_by_scheme = self.pools(checked=False)
        return manager

    def get_connection_with_tls_context(
        self,
        request: requests.PreparedRequest,
        verify: Any,  # noqa: ANN401 - as inherited
        proxies: Any = None,  # noqa: ANN401 - as inherited
        cert: Any = None,  # noqa: ANN401 - as inherited
    ) -> urllib3.connectionpool.ConnectionPool:
        """Choose the connection: to a proxy only if the policy does not speak against the host."""
        url = request.url or ""
        if select_proxy(url, proxies):
            self._judge.check_behind_proxy((urllib3.util.parse_url(url).host or "").strip("[]"))
        return super().get_connection_with_tls_context(request, verify, proxies, cert)


def resolve(host: str) -> list[str]:
    """Return the addresses of a host, each once.

    Raises:
        OSError: It cannot be resolved here.
    """
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))
