"""Swift beside the bed's other services: one proxy, one device, every object once.

It is started by the tests that need it. Its folder must be on a file system that has extended
attributes, in which Swift keeps what it knows of objects.
"""

import getpass
import json
import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from testbed.commands import run
from testbed.openstack.bed import OpenStack
from testbed.openstack.config import REGION, Sections, _token_check, _write
from testbed.openstack.seed import Seed
from testbed.openstack.site import Site
from testbed.process import Service, answers, bed_lock, free_ports

_HERE: Final = Path(__file__).parent
_STORAGE: Final = ("account", "container", "object")
_FILTERS: Final = ("catch_errors", "slo", "dlo")
_PIPELINE: Final = "catch_errors authtoken keystoneauth slo dlo proxy-server"


@dataclass(frozen=True)
class Swift:
    """The object store of a cloud, which has its users and its catalogue."""

    openstack: OpenStack

    def up(self) -> None:
        """Start what does not run, and put it into the catalogue."""
        with bed_lock(self.openstack.folder):
            if not self._ports_file.exists():
                self._prepare()
            ports = self._ports
            for name in (*_STORAGE, "proxy"):
                service = Service(f"swift-{name}", self._site.folder)
                if service.process() is None:
                    service.start(self._command(name), self._site.environment)
            for name, port in ports.items():
                ready = partial(answers, f"http://127.0.0.1:{port}/")
                Service(f"swift-{name}", self._site.folder).wait(ready)

    def stop(self, name: str) -> None:
        """Stop one of its servers: ``proxy``, ``account``, ``container`` or ``object``."""
        Service(f"swift-{name}", self._site.folder).stop()

    def put(self, project: str, container: str, path: Path, *options: str) -> None:
        """Put a file as an object by Swift's own client, by ``--object-name`` and other options.

        Args:
            project: Whose container it is: an entry of clouds.yaml with a password.
            container: It is made if it is not there.
            path: The file.
            options: Those of ``swift upload``, such as ``--segment-size``.
        """
        self.client(project, "upload", container, str(path), *options)

    def client(self, project: str, *words: str) -> str:
        """Run Swift's own client as a user of a project, and return what it prints."""
        auth: dict[str, str] = self.openstack.cloud(f"{project}-password")["auth"]
        environment = {f"OS_{key.upper()}": value for key, value in auth.items()}
        environment["OS_REGION_NAME"] = REGION
        program = self.openstack.program("swift")
        return run(program, *words, env=self._site.environment | environment)

    @property
    def url(self) -> str:
        """Where the proxy is."""
        return f"http://127.0.0.1:{self._ports['proxy']}"

    def _prepare(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)  # of an attempt that was killed
        (self._folder / "devices/one").mkdir(parents=True)
        names = ("proxy", *_STORAGE)
        ports = dict(zip(names, free_ports(len(names)), strict=True))
        for name in _STORAGE:
            self._ring(name, ports[name])
            self._write_storage(name, ports[name])
        self._write_proxy(ports["proxy"])
        shared = {"swift_hash_path_suffix": "testbed"}
        _write(self._folder / "swift.conf", {"swift-hash": shared})
        Seed.of(self._site).object_service(f"http://127.0.0.1:{ports['proxy']}")
        self._ports_file.write_text(json.dumps(ports))

    def _ring(self, name: str, port: int) -> None:
        builder = self._folder / f"{name}.builder"
        for words in (
            ("create", "4", "1", "0"),
            ("add", f"r1z1-127.0.0.1:{port}/one", "1"),
            ("rebalance",),
        ):
            run(self.openstack.program("swift-ring-builder"), builder, *words)

    def _common(self, port: int) -> dict[str, object]:
        return {
            "bind_ip": "127.0.0.1",
            "bind_port": port,
            "swift_dir": self._folder,
            "user": getpass.getuser(),
            "workers": 0,
            "log_to_console": "true",
        }

    def _write_storage(self, name: str, port: int) -> None:
        sections: Sections = {
            "DEFAULT": self._common(port)
            | {"devices": self._folder / "devices", "mount_check": "false"},
            "pipeline:main": {"pipeline": f"{name}-server"},
            f"app:{name}-server": {
                "use": f"egg:swift#{name}",
                "allow_versions": "true",
                # A dozen of megabytes are not worth a wait for the disk.
                "fallocate_reserve": "0",
            },
        }
        _write(self._conf(name), sections)

    def _write_proxy(self, port: int) -> None:
        sections: Sections = {
            "DEFAULT": self._common(port),
            "pipeline:main": {"pipeline": _PIPELINE},
            "app:proxy-server": {
                "use": "egg:swift#proxy",
                "account_autocreate": "true",
            },
            **{f"filter:{each}": {"use": f"egg:swift#{each}"} for each in _FILTERS},
            "filter:authtoken": {
                "paste.filter_factory": "keystonemiddleware.auth_token:filter_factory",
                "delay_auth_decision": "true",
                **_token_check(self._site, "swift", "object-store"),
            },
            "filter:keystoneauth": {
                "use": "egg:swift#keystoneauth",
                "operator_roles": "admin, member",
            },
        }
        _write(self._conf("proxy"), sections)

    def _command(self, name: str) -> list[str]:
        module = "obj" if name == "object" else name
        words = (str(self._folder / "swift.conf"), module, str(self._conf(name)))
        return self._site.python(_HERE / "swift_shim.py", *words)

    def _conf(self, name: str) -> Path:
        return self._folder / f"{name}-server.conf"

    @property
    def _site(self) -> Site:
        site = Site.load(self.openstack.folder)
        if site is None:
            raise RuntimeError("the OpenStack test bed is not up")
        return site

    @property
    def _folder(self) -> Path:
        return self._site.folder / "swift"

    @property
    def _ports_file(self) -> Path:
        return self._folder / "ports.json"

    @property
    def _ports(self) -> dict[str, int]:
        ports: dict[str, int] = json.loads(self._ports_file.read_text())
        return ports
