"""The services' empty databases, migrated once and kept as a packed data directory."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from testbed.commands import run
from testbed.openstack import config, database, venv
from testbed.openstack.database import Database
from testbed.openstack.site import OPTIONAL_SERVICES, Site, api_services
from testbed.paths import cache_dir
from testbed.process import bed_lock

# nova_cell0 is a copy of nova_cell1 and made after it.
_DATABASES = ("keystone", "glance", "placement", "nova_api", "nova_cell1", "cinder")

# Nova puts in the parts of [database] connection, so the rows hold no path of one bed.
_CELL0 = "{scheme}://{username}@/nova_cell0?{query}"
_CELL1 = "{scheme}://{username}@/{path}?{query}"

# Templates of about 100 MB in the cache, two for each checkout: another may be in use too.
_KEPT = 4

_NEUTRON_MIGRATE = Path(__file__).with_name("neutron_migrate.py")


def template(*, boots: bool = False) -> Path:
    """Return the packed data directory, made on the first call and kept in the cache.

    It holds the admin user and the roles but nothing that depends on ports or folders.

    Args:
        boots: Whether it is for a bed whose servers boot, which has Neutron too.
    """
    place = venv.location(venv.BOOT_LOCK if boots else venv.LOCK)
    kept = cache_dir() / f"openstack-schema-{_digest(place)}.tar"
    if not kept.exists():
        with bed_lock(kept):
            if not kept.exists():
                _make(kept, place, boots=boots)
    return kept


def _make(kept: Path, place: Path, *, boots: bool) -> None:
    # Not in the cache: the user postgres cannot enter a home folder.
    scratch = Path(tempfile.mkdtemp(prefix="openstack-schema-"))
    scratch.chmod(0o755)
    try:
        ports = dict.fromkeys((*api_services(boots=boots), *OPTIONAL_SERVICES), 0)
        _build(Site(scratch, place, ports, boots=boots), kept)
    finally:
        shutil.rmtree(scratch)
    for outdated in sorted(cache_dir().glob("openstack-schema-*.tar"), key=_made)[:-_KEPT]:
        outdated.unlink(missing_ok=True)


def _made(path: Path) -> float:
    return path.stat().st_mtime


def _digest(place: Path) -> str:
    """Name what the databases' content follows from."""
    sources = (Path(__file__), Path(config.__file__), Path(database.__file__), _NEUTRON_MIGRATE)
    digest = hashlib.sha256(str(place).encode() + str(database.programs()).encode())
    for source in sources:
        digest.update(source.read_bytes())
    return digest.hexdigest()[:12]


def _build(site: Site, kept: Path) -> None:
    config.write(site)
    config.write_cinder(site)
    server = Database(site)
    try:
        server.create((*_DATABASES, *(["neutron"] if site.boots else [])))
        _in_parallel(
            site,
            _keystone,
            lambda site: _manage(site, "nova-manage", "db", "sync", "--local_cell"),
            lambda site: _manage(site, "nova-manage", "api_db", "sync"),
            lambda site: _manage(site, "glance-manage", "db_sync"),
            lambda site: _manage(site, "placement-manage", "db", "sync"),
            lambda site: _manage(site, "cinder-manage", "db", "sync"),
            *([_neutron] if site.boots else []),
        )
        server.sql("CREATE DATABASE nova_cell0 TEMPLATE nova_cell1")
        _in_parallel(site, _map_cell0, _create_cell1)
    finally:
        server.stop()
    partial = kept.with_suffix(".partial")
    server.pack(partial)
    partial.rename(kept)


def _keystone(site: Site) -> None:
    _manage(site, "keystone-manage", "db_sync")
    # Without URLs: the catalog is the seed's work, when the ports are known.
    options = ("--bootstrap-password", config.PASSWORD, "--bootstrap-region-id", config.REGION)
    _manage(site, "keystone-manage", "bootstrap", *options)


def _neutron(site: Site) -> None:
    command = site.python(_NEUTRON_MIGRATE, str(config.neutron_conf(site)))
    run(*command, env=site.environment)


def _map_cell0(site: Site) -> None:
    _manage(site, "nova-manage", "cell_v2", "map_cell0", "--database_connection", _CELL0)


def _create_cell1(site: Site) -> None:
    urls = ("--database_connection", _CELL1, "--transport-url", "fake://")
    _manage(site, "nova-manage", "cell_v2", "create_cell", "--name", "cell1", *urls)


def _in_parallel(site: Site, *jobs: Callable[[Site], None]) -> None:
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for future in [pool.submit(job, site) for job in jobs]:
            future.result()


def _manage(site: Site, program: str, *arguments: str) -> None:
    files = {
        "keystone-manage": "keystone.conf",
        "glance-manage": "glance-api.conf",
        "placement-manage": "placement.conf",
        "nova-manage": "nova.conf",
        "cinder-manage": "cinder.conf",
    }
    options = ("--config-file", str(site.etc / files[program]))
    run(
        *site.python(site.venv / "bin" / program, *options, *arguments),
        env=site.environment,
    )
