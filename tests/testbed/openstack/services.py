"""The API services as processes: how each is started and when it is ready."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from testbed.openstack import network
from testbed.openstack.config import cinder_conf, neutron_conf
from testbed.openstack.site import OPTIONAL_SERVICES, Site, api_services
from testbed.process import Service, answers

_HERE = Path(__file__).parent

# Module and threads; Glance has more because an upload keeps one busy for minutes.
_WSGI = {
    "keystone": ("keystone.wsgi.api", 8),
    "glance": ("glance.wsgi.api", 16),
    "placement": ("placement.wsgi.api", 4),
    "neutron": ("neutron.wsgi.api", 8),
}
_HEALTH = {
    "keystone": "/v3",
    "glance": "/healthcheck",
    "placement": "/",
    "neutron": "/",
    "nova": "/",
    "cinder": "/healthcheck",
}


@dataclass(frozen=True)
class Api:
    """One API service of a bed."""

    site: Site
    name: str

    def __post_init__(self) -> None:
        """Refuse a name that is not one of our services."""
        names = (*api_services(boots=True), *OPTIONAL_SERVICES)
        if self.name not in names:
            raise ValueError(f"no service {self.name!r}; there are {', '.join(names)}")

    @property
    def service(self) -> Service:
        """The service as a process."""
        return Service(self.name, self.site.folder)

    def start(self) -> None:
        """Start the process unless it runs; ``wait`` tells when it answers."""
        if self.service.process() is None:
            # A killed server may have left workers behind, who hold the port.
            self.service.stop()
            environment = self.site.environment
            if self.name == "neutron":
                environment |= network.neutron_environment(self.site)
            self.service.start(self._command(), environment)

    def wait(self) -> None:
        """Wait until the service answers."""
        url = self.site.url(self.name) + _HEALTH[self.name]
        self.service.wait(lambda: answers(url))

    def stop(self) -> None:
        """Stop the process and its workers."""
        self.service.stop()

    def _command(self) -> list[str]:
        port = self.site.ports[self.name]
        if self.name == "nova":
            return self.site.python(_HERE / "nova_aio.py", str(self.site.etc), port)
        if self.name == "cinder":
            return self.site.python(_HERE / "cinder_aio.py", str(cinder_conf(self.site)), port)
        module, threads = _WSGI[self.name]
        options = ("--config-file", str(neutron_conf(self.site))) if self.name == "neutron" else ()
        return self.site.python(_HERE / "shim.py", module, port, threads, *options)


def start(site: Site, names: Sequence[str]) -> None:
    """Start services side by side and wait for all of them."""
    apis = [Api(site, name) for name in names]
    for api in apis:
        api.start()
    for api in apis:
        api.wait()
