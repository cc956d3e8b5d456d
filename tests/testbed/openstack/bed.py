"""The OpenStack of the test bed as its users see it."""

import dataclasses
import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import psutil
import yaml

from testbed import packages
from testbed.commands import missing_rights
from testbed.openstack import clients, config, schema, services, venv
from testbed.openstack.database import Database
from testbed.openstack.hypervisor import Hypervisor
from testbed.openstack.network import Network
from testbed.openstack.seed import Seed
from testbed.openstack.services import Api
from testbed.openstack.site import OPTIONAL_SERVICES, Site, api_services
from testbed.paths import state_dir
from testbed.process import bed_lock, kill

if TYPE_CHECKING:
    from openstack.connection import Connection


class Status(NamedTuple):
    """One service of the bed.

    Attributes:
        name: ``postgresql``, ``keystone``, ``glance``, ``placement`` or ``nova``.
        pid: Its process; None when it does not run.
        url: Where it answers; empty when there is no bed.
    """

    name: str
    pid: int | None
    url: str


@dataclass
class OpenStack:
    """A whole OpenStack on loopback, shared by every process that names its folder.

    Attributes:
        folder: Its state. PostgreSQL's user must be able to enter it, and the path of the
            database's socket in it must stay below 108 bytes.
        glance_plugins: Glance's import plugins, as ``image_conversion``. None takes the comma
            separated ``TESTBED_GLANCE_PLUGINS``, and without that leaves a running bed as it is.
        boots: Whether servers really boot, by libvirt and QEMU, and have networks: for root only.
    """

    folder: Path = field(default_factory=lambda: state_dir() / "openstack")
    glance_plugins: tuple[str, ...] | None = None
    boots: bool = False

    @classmethod
    def booting(cls) -> "OpenStack":
        """Return the bed whose servers really boot, which is beside the other one."""
        return cls(state_dir() / "boot", boots=True)

    def install(self) -> None:
        """Install the services and migrate their databases, where this user can run them at all."""
        if self.boots and missing_rights():
            return
        self._install_programs()
        schema.template(boots=self.boots)

    def up(self) -> None:
        """Start what is not running; a bed that never came up completely is made again."""
        self._install_programs()
        place = venv.location(self._lock)
        with bed_lock(self.folder):
            site = Site.load(self.folder)
            if site is None or site.venv != place or not site.clouds_yaml.exists():
                self._remove()
                plugins = self._wanted_plugins() or ()
                self._create(Site.new(self.folder, place, plugins, boots=self.boots))
            else:
                self._resume(site)

    def down(self) -> None:
        """Stop every process and remove the folder, whatever state it is in."""
        with bed_lock(self.folder) as lock:
            self._remove()
            Path(lock.lock_file).unlink()

    def status(self) -> list[Status]:
        """Tell for each service whether it runs."""
        site = Site.load(self.folder)
        if site is None:
            names = ("postgresql", *api_services(boots=self.boots))
            return [Status(name, None, "") for name in names]
        database = Database(site)
        running = {database.service: database.url}
        running |= {Api(site, name).service: site.url(name) for name in site.services}
        if site.boots:
            hypervisor = Hypervisor(site)
            running[hypervisor.service] = str(hypervisor.socket)
            network = Network(site)
            running |= dict.fromkeys(network.services, network.database)
        return [
            Status(service.name, process.pid if (process := service.process()) else None, url)
            for service, url in running.items()
        ]

    def stop_service(self, name: str) -> None:
        """Stop one API service, as an outage; its data stay."""
        with bed_lock(self.folder):
            Api(self._site, name).stop()

    def start_service(self, name: str) -> None:
        """Start one API service again, on the port it had."""
        with bed_lock(self.folder):
            services.start(self._site, [name])

    def start_cinder(self) -> None:
        """Start Cinder as well, and add it to the catalogue; it stays until the bed goes.

        Its volumes are files with the bytes of their images (see ``cinder_aio.py``).
        """
        with bed_lock(self.folder):
            config.write_cinder(self._site)
            services.start(self._site, ["cinder"])
            Seed.of(self._site).volume_service()
        clients.forget()

    @property
    def clouds_yaml(self) -> Path:
        """The clients' file: admin and system-admin; images, consumer and tiny.

        The projects log in by application credentials, and as ``images-password`` and so on by
        name and password.
        """
        return self._site.clouds_yaml

    @property
    def auth_url(self) -> str:
        """Keystone's URL."""
        return self._site.auth_url

    def cloud(self, name: str) -> dict[str, Any]:
        """Return an entry of ``clouds.yaml``."""
        clouds: dict[str, dict[str, Any]] = yaml.safe_load(self.clouds_yaml.read_text())["clouds"]
        return clouds[name]

    def project_id(self, name: str) -> str:
        """Return the id of a project: images, consumer, tiny, admin, service."""
        ids: dict[str, str] = json.loads((self.folder / "projects.json").read_text())
        return ids[name]

    def connect(self, name: str) -> "Connection":
        """Return this process's connection as an entry of ``clouds.yaml``."""
        return clients.kept(self.cloud(name))

    def program(self, name: str) -> Path:
        """Return a program of the services' venv, as ``openstack``."""
        return self._site.venv / "bin" / name

    def server_disk(self, server_id: str) -> Path:
        """Return the file that is the disk of one of Nova's servers."""
        disk = self.folder / "nova/instances" / server_id
        return disk / "disk" if self.boots else disk

    def set_quota(self, project: str, resource: str, value: int) -> None:
        """Set one of Glance's limits for a project.

        Args:
            project: The project's name.
            resource: image_size_total, image_stage_total (both MiB), image_count_total or
                image_count_uploading.
            value: The new limit.
        """
        admin = self.connect("system-admin")
        clients.set_limit(admin, self.project_id(project), resource, value)

    def reset(self) -> None:
        """Delete the servers and images of every project and wait until they are gone."""
        admin = self.connect("admin")
        clients.delete_servers(admin)
        clients.delete_images(admin)

    def _install_programs(self) -> None:
        if self.boots:
            packages.ensure("openstack", "boot")
        venv.install(self._lock)

    @property
    def _lock(self) -> Path:
        return venv.BOOT_LOCK if self.boots else venv.LOCK

    @property
    def _site(self) -> Site:
        site = Site.load(self.folder)
        if site is None:
            raise RuntimeError("the OpenStack test bed is not up")
        return site

    def _wanted_plugins(self) -> tuple[str, ...] | None:
        if self.glance_plugins is not None:
            return self.glance_plugins
        words = os.environ.get("TESTBED_GLANCE_PLUGINS")
        return None if words is None else tuple(words.replace(",", " ").split())

    def _remove(self) -> None:
        site = Site.load(self.folder) or Site(self.folder, venv.location(), {})
        with ThreadPoolExecutor() as pool:
            names = (*api_services(boots=True), *OPTIONAL_SERVICES)
            list(pool.map(lambda name: Api(site, name).stop(), names))
        Hypervisor(site).service.stop()
        Network(site).stop()
        # Guests, and whoever has no record left, for instance because someone deleted the folder.
        kill([process for process in psutil.process_iter() if site.owns(process)])
        Database(site).stop()
        if self.folder.exists():
            shutil.rmtree(self.folder)

    def _create(self, site: Site) -> None:
        site.save()
        config.write(site)
        database = Database(site)
        database.unpack(schema.template(boots=self.boots))
        database.start()
        if site.boots:
            Hypervisor(site).configure()
        self._start_devices(site)
        services.start(site, site.services[:-1])
        seed = Seed.of(site)
        seed.services()
        Api(site, "nova").start()
        entries = seed.projects()
        Api(site, "nova").wait()
        seed.flavor()
        seed.write(entries)

    @staticmethod
    def _start_devices(site: Site) -> None:
        if site.boots:
            Network(site).start()
            Hypervisor(site).start()

    def _resume(self, site: Site) -> None:
        plugins = self._wanted_plugins()
        if plugins is not None and plugins != site.glance_plugins:
            site = dataclasses.replace(site, glance_plugins=plugins)
            Api(site, "glance").stop()
            config.write_glance(site)
            site.save()
        Database(site).start()
        self._start_devices(site)
        services.start(site, site.services[:-1])
        services.start(site, site.services[-1:])
        if config.cinder_conf(site).exists():
            services.start(site, ["cinder"])
