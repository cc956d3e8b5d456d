"""One bed's place in the world: its folder, its ports, its venv; URLs follow from them."""

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from testbed.process import free_ports

# Nova comes last: its compute service registers with the others when it starts.
API_SERVICES = ("keystone", "glance", "placement", "nova")
# Started, and put into the catalogue, only where a test asks for it.
OPTIONAL_SERVICES = ("cinder",)


def api_services(*, boots: bool) -> tuple[str, ...]:
    """Return the API services of a bed in the order in which they start: Nova is the last."""
    return (*API_SERVICES[:-1], "neutron", API_SERVICES[-1]) if boots else API_SERVICES


# Servers talk to each other on loopback only, whatever the caller's shell says.
_NO_PROXIES = {
    name: ""
    for scheme in ("http", "https", "all")
    for name in (f"{scheme}_proxy", f"{scheme}_PROXY".upper())
}


@dataclass(frozen=True)
class Site:
    """What the configuration files and the command lines of one bed are made from.

    Attributes:
        folder: The bed's state: databases, images, configuration, logs, pid records.
        venv: The virtual environment with the services.
        ports: The port of each service on loopback, of the optional ones too.
        glance_plugins: Glance's import plugins, for instance ``image_conversion``.
        boots: Whether servers really boot, by libvirt and QEMU.
    """

    folder: Path
    venv: Path
    ports: Mapping[str, int]
    glance_plugins: tuple[str, ...] = ()
    boots: bool = False

    @classmethod
    def new(
        cls, folder: Path, venv: Path, glance_plugins: tuple[str, ...] = (), *, boots: bool = False
    ) -> "Site":
        """Choose free ports for a bed that does not exist yet."""
        names = (*api_services(boots=boots), *OPTIONAL_SERVICES)
        ports = dict(zip(names, free_ports(len(names)), strict=True))
        return cls(folder, venv, ports, glance_plugins, boots)

    @classmethod
    def load(cls, folder: Path) -> "Site | None":
        """Return the site recorded in the folder, or None if the record is missing or torn."""
        try:
            record = json.loads((folder / "site.json").read_text())
            return cls(
                folder,
                Path(record["venv"]),
                record["ports"],
                tuple(record["glance_plugins"]),
                record["boots"],
            )
        except (FileNotFoundError, ValueError, KeyError):
            return None

    def save(self) -> None:
        """Record the site, so that the next process finds the same ports."""
        self.folder.mkdir(parents=True, exist_ok=True)
        record = dataclasses.asdict(self) | {"folder": str(self.folder), "venv": str(self.venv)}
        (self.folder / "site.json").write_text(json.dumps(record))

    @property
    def services(self) -> tuple[str, ...]:
        """The API services, but the optional ones, in the order in which they start."""
        return api_services(boots=self.boots)

    @property
    def etc(self) -> Path:
        """The folder of the configuration files."""
        return self.folder / "etc"

    @property
    def images(self) -> Path:
        """The folder of Glance's stores."""
        return self.folder / "images"

    @property
    def sockets(self) -> Path:
        """The folder of PostgreSQL's socket and data."""
        return self.folder / "postgresql"

    @property
    def clouds_yaml(self) -> Path:
        """The clients' file; written last, so its presence says that the bed is seeded."""
        return self.folder / "clouds.yaml"

    def url(self, service: str) -> str:
        """Return the base URL of a service."""
        return f"http://127.0.0.1:{self.ports[service]}"

    @property
    def auth_url(self) -> str:
        """Keystone's URL as clients want it."""
        return self.url("keystone") + "/v3"

    def database_url(self, name: str) -> str:
        """Return SQLAlchemy's URL of a database."""
        return f"postgresql+psycopg2://postgres@/{name}?host={self.sockets}"

    def python(self, program: Path, *arguments: str | int) -> list[str]:
        """Return the command line of a Python program in the venv, apart from the caller's own.

        ``-I`` leaves out ``PYTHON*`` variables and the program's folder, whose module names
        (``config``, ``seed``) could shadow others.
        """
        return [str(self.venv / "bin/python"), "-I", str(program), *map(str, arguments)]

    @property
    def environment(self) -> dict[str, str]:
        """What the services and their tools need on top of the caller's environment."""
        return _NO_PROXIES | {
            "NO_PROXY": "*",
            "HOME": str(self.folder),
            "PATH": f"{self.venv / 'bin'}:{os.environ.get('PATH', os.defpath)}",
            "OS_KEYSTONE_CONFIG_FILES": str(self.etc / "keystone.conf"),
            "OS_GLANCE_CONFIG_DIR": str(self.etc),
            "OS_PLACEMENT_CONFIG_DIR": str(self.etc),
            "OS_NOVA_CONFIG_DIR": str(self.etc),
            # gunicorn's process titles would overwrite these variables, which find strays again.
            "SPT_NOENV": "1",
        }

    def owns(self, process: psutil.Process) -> bool:
        """Return whether the process was started with this site's environment, or is its guest."""
        try:
            if process.name().startswith("qemu-system"):  # libvirt gives it an environment
                return any(f"{self.folder}/" in word for word in process.cmdline())
            return process.environ().get("OS_NOVA_CONFIG_DIR") == str(self.etc)
        except psutil.Error:
            return False
