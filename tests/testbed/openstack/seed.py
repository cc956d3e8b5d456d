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
    from openstack.identity.v3._proxy import Proxy as Keystone
    from openstack.identity.v3.project import Project
    from openstack.identity.v3.role import Role
    from openstack.identity.v3.service import Service
    from openstack.identity.v3.user import User

# Each project with its one user, who has the role `member`.
PROJECTS = {"images": "publisher", "consumer": "bob", "tiny": "tim"}
FLAVOR = "m1.tiny"
LARGER_FLAVOR = "m1.small"
"""For a distribution; where servers boot only."""

# Catalog type and path of each service.
_CATALOG = {
    "keystone": ("identity", "/v3"),
    "glance": ("image", ""),
    "placement": ("placement", ""),
    "neutron": ("network", ""),
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
    admin: "Keystone"
    system_admin: "Connection"
    roles: Mapping[str, "Role"]

    @classmethod
    def of(cls, site: Site) -> "Seed":
        """Log in as the admin that ``keystone-manage bootstrap`` made; no catalog exists yet."""
        early = {"identity_endpoint_override": site.auth_url}
        admins = _admins(site)
        admin = keystone(connect(admins["admin"] | early))
        roles = {role.name: role for role in admin.roles()}
        return cls(site, admin, connect(admins["system-admin"] | early), roles)

    def services(self) -> None:
        """Make the services' users, the catalog and the limits: what Nova needs to start."""
        project = self.admin.create_project(name="service", domain_id="default")
        for name in self.site.services:
            kind, path = _CATALOG[name]
            service = self.admin.create_service(name=name, type=kind)
            self._endpoints(service, self.site.url(name) + path)
            if name == "keystone":
                continue
            user = self._user(name, project, "admin", "service")
            if name == "glance":
                # Glance reads limits with a system-scoped token.
                self.admin.assign_system_role_to_user(user, self.roles["reader"], "all")
                self._limits(service)

    def volume_service(self) -> None:
        """Make what Cinder needs in Keystone, unless it is there."""
        if any(self.admin.services(name="cinder")):
            return
        [project] = self.admin.projects(name="service")
        self._user("cinder", project, "admin", "service")
        service = self.admin.create_service(name="cinder", type="block-storage")
        self._endpoints(service, self.site.url("cinder") + "/v3")

    def object_service(self, url: str) -> None:
        """Make what Swift needs in Keystone; an earlier Swift's place is forgotten."""
        if not any(self.admin.users(name="swift")):
            [project] = self.admin.projects(name="service")
            self._user("swift", project, "admin", "service")
        for service in self.admin.services(name="swift"):
            self.admin.delete_service(service)
        service = self.admin.create_service(name="swift", type="object-store")
        self._endpoints(service, f"{url}/v1/AUTH_%(project_id)s")

    def _endpoints(self, service: "Service", url: str) -> None:
        for interface in ("public", "internal"):
            self.admin.create_endpoint(
                service_id=service.id, interface=interface, url=url, region_id=REGION
            )

    def _limits(self, service: "Service") -> None:
        identity = keystone(self.system_admin)
        for name, value in _LIMITS.items():
            identity.create_registered_limit(
                service_id=service.id, region_id=REGION, resource_name=name, default_limit=value
            )

    def _user(self, name: str, project: "Project", *roles: str) -> "User":
        user = self.admin.create_user(
            name=name, password=PASSWORD, domain_id="default", default_project_id=project.id
        )
        for role in roles:
            self.admin.assign_project_role_to_user(project, user, self.roles[role])
        return user

    def projects(self) -> dict[str, Entry]:
        """Make the members' projects and return their entries of ``clouds.yaml``."""
        entries: dict[str, Entry] = {}
        for name, user in PROJECTS.items():
            project = self.admin.create_project(name=name, domain_id="default")
            self._user(user, project, "member")
            by_password = _by_password(self.site, user, name)
            entries[f"{name}-password"] = by_password
            entries[name] = _by_application_credential(self.site, by_password)
            if name == "tiny":
                set_limit(self.system_admin, project.id, "image_size_total", _TINY_SIZE_TOTAL)
        return entries

    def flavor(self) -> None:
        """Make the flavors; sizes are in MiB and GiB."""
        ram = 128 if self.site.boots else 64
        # A new login: the seed's own was made before there was a catalog.
        nova = connect(_admins(self.site)["admin"]).compute
        nova.create_flavor(name=FLAVOR, ram=ram, vcpus=1, disk=1)
        if self.site.boots:
            nova.create_flavor(name=LARGER_FLAVOR, ram=768, vcpus=1, disk=3)

    def write(self, entries: Mapping[str, Entry]) -> None:
        """Write the ids of the projects and then ``clouds.yaml``, which only we can read."""
        ids = {project.name: project.id for project in self.admin.projects()}
        (self.site.folder / "projects.json").write_text(json.dumps(ids))
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
