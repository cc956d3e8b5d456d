"""What a new cloud holds: service users, catalog, projects, limits, a flavor, ``clouds.yaml``."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from testbed.openstack.clients import connect, keystone, set_limit
from testbed.openstack.config import PASSWORD, REGION
from testbed.openstack.site import Site

if TYPE_CHECKING:
    from openstack.connection import Connection

# Each project with its one user, who has the role `member`.
PROJECTS = {"images": "publisher", "consumer": "bob", "tiny": "tim"}
FLAVOR = "m1.tiny"

# Catalog type and path of each service.
_CATALOG = {
    "keystone": ("identity", "/v3"),
    "glance": ("image", ""),
    "placement": ("placement", ""),
    "nova": ("compute", "/v2.1"),
}

# Glance refuses uploads without registered limits. Sizes are in MiB: 1 TiB by default.
_LIMITS = {
    "image_size_total": 1 << 20,
    "image_stage_total": 1 << 20,
    "image_count_total": 10_000,
    "image_count_uploading": 1_000,
}
_TINY_SIZE_TOTAL = 5

Entry = dict[str, Any]


@dataclass(frozen=True)
class Seed:
    """Fills the Keystone of a site whose databases are fresh."""

    site: Site
    admin: "Connection"
    system_admin: "Connection"

    @classmethod
    def of(cls, site: Site) -> "Seed":
        """Log in as the admin that ``keystone-manage bootstrap`` made; no catalog exists yet."""
        early = {"identity_endpoint_override": site.auth_url}
        admins = _admins(site)
        return cls(site, connect(admins["admin"] | early), connect(admins["system-admin"] | early))

    def fill(self) -> None:
        """Make everything but what needs Nova, which starts only after this."""
        keystone(self.admin).create_project(name="service", domain_id="default")
        for name, (kind, path) in _CATALOG.items():
            self._service(name, kind, self.site.url(name) + path)
        # Glance reads limits with a system-scoped token.
        identity = keystone(self.admin)
        reader = identity.find_role("reader", ignore_missing=False)
        user = identity.find_user("glance", ignore_missing=False)
        identity.assign_system_role_to_user(user, reader, "all")
        self._limits()

    def _service(self, name: str, kind: str, url: str) -> None:
        identity = keystone(self.admin)
        service = identity.create_service(name=name, type=kind)
        for interface in ("public", "internal"):
            identity.create_endpoint(
                service_id=service.id, interface=interface, url=url, region_id=REGION
            )
        if name != "keystone":
            self._user(name, "service", "admin", "service")

    def _limits(self) -> None:
        identity = keystone(self.system_admin)
        glance = next(identity.services(type="image"))
        for name, value in _LIMITS.items():
            identity.create_registered_limit(
                service_id=glance.id, region_id=REGION, resource_name=name, default_limit=value
            )

    def _user(self, name: str, project_name: str, *roles: str) -> None:
        identity = keystone(self.admin)
        project = identity.find_project(project_name, ignore_missing=False)
        user = identity.create_user(
            name=name, password=PASSWORD, domain_id="default", default_project_id=project.id
        )
        for role in roles:
            found = identity.find_role(role, ignore_missing=False)
            identity.assign_project_role_to_user(project, user, found)

    def projects(self) -> dict[str, Entry]:
        """Make the members' projects and return their entries of ``clouds.yaml``."""
        entries: dict[str, Entry] = {}
        for project, user in PROJECTS.items():
            keystone(self.admin).create_project(name=project, domain_id="default")
            self._user(user, project, "member")
            by_password = _by_password(self.site, user, project)
            entries[f"{project}-password"] = by_password
            entries[project] = _by_application_credential(self.site, by_password)
        set_limit(
            self.system_admin, self.project_ids()["tiny"], "image_size_total", _TINY_SIZE_TOTAL
        )
        return entries

    def project_ids(self) -> dict[str, str]:
        """Return the id of every project by its name."""
        return {each.name: each.id for each in keystone(self.admin).projects()}

    def flavor(self) -> None:
        """Make the one flavor; sizes are in MiB and GiB."""
        # A new login: the seed's own was made before there was a catalog.
        admin = connect(_admins(self.site)["admin"])
        admin.compute.create_flavor(name=FLAVOR, ram=64, vcpus=1, disk=1)

    def write(self, entries: Mapping[str, Entry]) -> None:
        """Write the ids of the projects and then ``clouds.yaml``, both readable by us alone."""
        (self.site.folder / "projects.json").write_text(json.dumps(self.project_ids()))
        clouds = {**_admins(self.site), **entries}
        partial = self.site.clouds_yaml.with_suffix(".partial")
        partial.touch(mode=0o600)
        partial.write_text(yaml.safe_dump({"clouds": clouds}, sort_keys=False))
        partial.replace(self.site.clouds_yaml)


def _admins(site: Site) -> dict[str, dict[str, Any]]:
    login = {
        "auth_url": site.auth_url,
        "username": "admin",
        "password": PASSWORD,
        "user_domain_id": "default",
    }
    return {
        "admin": {
            "auth": login | {"project_name": "admin", "project_domain_id": "default"},
            "region_name": REGION,
        },
        "system-admin": {"auth": login | {"system_scope": "all"}, "region_name": REGION},
    }


def _by_password(site: Site, user: str, project: str) -> dict[str, Any]:
    return {
        "auth": {
            "auth_url": site.auth_url,
            "username": user,
            "password": PASSWORD,
            "user_domain_id": "default",
            "project_name": project,
            "project_domain_id": "default",
        },
        "region_name": REGION,
    }


def _by_application_credential(site: Site, login: Entry) -> dict[str, Any]:
    """Make an application credential, which only its own user may, and return its entry."""
    connection = connect(login)
    identity = keystone(connection)
    user_id = connection.current_user_id or ""
    credential = identity.create_application_credential(user_id, name="testbed")
    return {
        "auth_type": "v3applicationcredential",
        "auth": {
            "auth_url": site.auth_url,
            "application_credential_id": credential.id,
            "application_credential_secret": credential.secret,
        },
        "region_name": REGION,
    }
