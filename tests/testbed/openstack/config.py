"""The services' configuration files, as dictionaries: section, option, value."""

import base64
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

from testbed.openstack import hypervisor, network
from testbed.openstack.site import Site

PASSWORD = "testbed"
REGION = "RegionOne"
STORES = ("fast", "slow")
MEMBER_QUOTA = 210
"""Members that Glance takes for one image; its default is 128."""
IMPORT_METHODS = ("glance-direct", "web-download", "copy-image")

Sections = Mapping[str, Mapping[str, object]]


def write(site: Site) -> None:
    """Write every configuration file and make the folders they name."""
    for folder in ("etc", "locks", "nova/instances", *(f"images/{name}" for name in _stores())):
        (site.folder / folder).mkdir(parents=True, exist_ok=True)
    for repository in ("fernet", "credential"):
        _write_keys(site.folder / repository)
    write_glance(site)
    _write(site.etc / "keystone.conf", _keystone(site))
    _write(site.etc / "placement.conf", _placement(site))
    compute = _merged(hypervisor.nova(site), network.nova(site)) if site.boots else {}
    if site.boots:
        _write(neutron_conf(site), _neutron(site))
    _write(site.etc / "nova.conf", _merged(_nova(site), compute))
    # Nova looks for this file beside its configuration.
    shutil.copy(site.venv / "etc/nova/api-paste.ini", site.etc)


def write_glance(site: Site) -> None:
    """Write Glance's file alone: its import plugins may change while the bed exists."""
    _write(site.etc / "glance-api.conf", _glance(site))


def write_cinder(site: Site) -> None:
    """Write Cinder's file alone: it is there where Cinder was ever started."""
    _write(cinder_conf(site), _cinder(site))


def cinder_conf(site: Site) -> Path:
    """Return where Cinder's file is."""
    return site.etc / "cinder.conf"


def neutron_conf(site: Site) -> Path:
    """Return where Neutron's file is."""
    return site.etc / "neutron.conf"


def _neutron(site: Site) -> Sections:
    return network.neutron(site) | {
        "nova": _client(site, "nova"),
        "placement": _client(site, "placement"),
        "keystone_authtoken": _token_check(site, "neutron", "network"),
    }


def _keystone(site: Site) -> Sections:
    return {
        "DEFAULT": {"use_stderr": True, "public_endpoint": site.url("keystone")},
        "database": {"connection": site.database_url("keystone")},
        "fernet_tokens": {"key_repository": site.folder / "fernet"},
        # Checked at bootstrap although the bed gives no receipts; the default is in /etc.
        "fernet_receipts": {"key_repository": site.folder / "fernet"},
        "credential": {"key_repository": site.folder / "credential"},
        # Every login pays for the rounds. bcrypt, the default, warns at each login by application
        # credential: it takes 72 bytes of the secret's 86.
        "identity": {"password_hash_algorithm": "pbkdf2_sha512", "password_hash_rounds": 1000},
        "cache": {"enabled": True, "backend": "oslo_cache.dict"},
    }


def _glance(site: Site) -> Sections:
    stores = {
        name: {"filesystem_store_datadir": site.images / folder}
        for folder, name in _stores().items()
    }
    return stores | {
        "DEFAULT": {
            "use_stderr": True,
            "worker_self_reference_url": site.url("glance"),
            "enabled_backends": ",".join(f"{name}:file" for name in STORES),
            "enabled_import_methods": _bracketed(IMPORT_METHODS),
            "use_keystone_limits": True,
            "image_member_quota": MEMBER_QUOTA,
        },
        "glance_store": {"default_backend": STORES[0]},
        "oslo_concurrency": {"lock_path": site.folder / "locks"},
        "database": {"connection": site.database_url("glance")},
        "paste_deploy": {
            "flavor": "keystone",
            "config_file": site.venv / "etc/glance/glance-api-paste.ini",
        },
        # Import tasks run in threads of the WSGI process, which must know its own Python.
        "wsgi": {"python_interpreter": site.venv / "bin/python", "task_pool_threads": 4},
        # Without these Glance's web-download refuses loopback and any port but 80 and 443.
        "import_filtering_opts": {
            "allowed_schemes": "[http,https]",
            "allowed_hosts": "[127.0.0.1,localhost]",
            "allowed_ports": "[]",
        },
        "image_import_opts": {"image_import_plugins": _bracketed(site.glance_plugins)},
        "image_conversion": {"output_format": "raw"},
        # Limits are read with a system-scoped token.
        "oslo_limit": _client(site, "glance", system=True)
        | {
            "endpoint_service_type": "image",
            "endpoint_region_name": REGION,
            "endpoint_interface": "public",
        },
        "keystone_authtoken": _token_check(site, "glance", "image"),
    }


def _placement(site: Site) -> Sections:
    return {
        "DEFAULT": {"use_stderr": True},
        "placement_database": {"connection": site.database_url("placement")},
        "keystone_authtoken": _token_check(site, "placement", "placement"),
    }


def _nova(site: Site) -> Sections:
    return {
        "DEFAULT": {
            "use_stderr": True,
            "state_path": site.folder / "nova",
            "my_ip": "127.0.0.1",
            "host": "testbed",
            "transport_url": "fake://",
            # A machine that slept must not find its only compute service too old: NoValidHost.
            "service_down_time": 86400,
            # A restarted fake hypervisor has forgotten its servers; leave them as they are.
            "sync_power_state_interval": -1,
            "compute_driver": "fake.ByteDriver",
        },
        # Short pages: who forgets to turn them is found out.
        "api": {"max_limit": 2},
        "api_database": {"connection": site.database_url("nova_api")},
        "database": {"connection": site.database_url("nova_cell1")},
        "oslo_concurrency": {"lock_path": site.folder / "locks"},
        "quota": {"instances": -1, "cores": -1, "ram": -1},
        "glance": {"endpoint_override": site.url("glance")},
        # Whether Cinder runs is for tests to say; the catalogue comes with each caller's token.
        "cinder": _client(site, "nova")
        | {"endpoint_template": site.url("cinder") + "/v3/%(project_id)s"},
        "vnc": {"enabled": False},
        # nova_aio.py plays a Neutron without any network.
        "neutron": _client(site, "nova") | {"endpoint_override": site.url("nova") + "/neutron"},
        "placement": _client(site, "placement"),
        "service_user": _client(site, "nova") | {"send_service_user_token": True},
        "keystone_authtoken": _token_check(site, "nova", "compute"),
    }


def _cinder(site: Site) -> Sections:
    return {
        "DEFAULT": {
            "use_stderr": True,
            "state_path": site.folder / "cinder",
            "api_paste_config": site.venv / "etc/cinder/api-paste.ini",
            "resource_query_filters_file": site.venv / "etc/cinder/resource_filters.json",
            "host": "testbed",
            "my_ip": "127.0.0.1",
            "transport_url": "fake://",
            # A machine that slept must not find its only volume service too old.
            "service_down_time": 86400,
            "allow_availability_zone_fallback": True,
            "enabled_backends": "files",
            "glance_api_servers": site.url("glance"),
            "osapi_max_limit": 2,  # short pages here too
        },
        # How Cinder asks what its callers may not: where images are, and snapshots of what runs.
        "glance": _client(site, "cinder"),
        "nova": _client(site, "cinder"),
        "files": {
            # Of cinder_aio.py.
            "volume_driver": "cinder.volume.drivers.nfs."
            + ("FolderDriver" if site.boots else "IdleFolderDriver"),
            "volume_backend_name": "files",
            "nas_host": "127.0.0.1",
            "nas_share_path": "/volumes",
            "nfs_snapshot_support": True,
            # The driver takes no snapshots where it may not use root's rights.
            "nas_secure_file_operations": False,
            "nas_secure_file_permissions": False,
            # Files are sparse: promised space is no space taken.
            "max_over_subscription_ratio": 1000,
        },
        "database": {"connection": site.database_url("cinder")},
        "oslo_concurrency": {"lock_path": site.folder / "locks"},
        "coordination": {"backend_url": f"file://{site.folder}/locks"},
        "keystone_authtoken": _token_check(site, "cinder", "block-storage"),
    }


def _client(site: Site, user: str, *, system: bool = False) -> dict[str, object]:
    """Return how a service logs in to Keystone."""
    scope: dict[str, object] = (
        {"system_scope": "all"}
        if system
        else {"project_name": "service", "project_domain_id": "default", "region_name": REGION}
    )
    return {
        "auth_url": site.auth_url,
        "auth_type": "password",
        "username": user,
        "password": PASSWORD,
        "user_domain_id": "default",
    } | scope


def _token_check(site: Site, user: str, service_type: str) -> dict[str, object]:
    """Return how a service checks the tokens of its callers."""
    return _client(site, user) | {
        "service_type": service_type,  # without it, no access rule lets anybody in
        "www_authenticate_uri": site.auth_url,
        "service_token_roles": "service",
        "service_token_roles_required": True,
    }


def _stores() -> dict[str, str]:
    """Return Glance's folders under ``images`` with the configuration section of each."""
    return {name: name for name in STORES} | {
        "staging": "os_glance_staging_store",
        "tasks": "os_glance_tasks_store",
    }


def _bracketed(words: tuple[str, ...]) -> str:
    return f"[{','.join(words)}]"


def _merged(sections: Sections, more: Sections) -> Sections:
    """Return the sections with further ones, and with further options of the same ones."""
    return {name: {**sections.get(name, {}), **more.get(name, {})} for name in {**sections, **more}}


def _write(path: Path, sections: Sections) -> None:
    blocks = [
        "\n".join([f"[{name}]", *(f"{option} = {value}" for option, value in options.items())])
        for name, options in sections.items()
    ]
    path.write_text("\n\n".join(blocks) + "\n")


def _write_keys(repository: Path) -> None:
    """Make Keystone's primary and staged key, a second of ``keystone-manage`` each."""
    repository.mkdir(mode=0o700, exist_ok=True)
    for name in ("0", "1"):
        key = repository / name
        key.touch(mode=0o600)
        key.write_bytes(base64.urlsafe_b64encode(secrets.token_bytes(32)))
