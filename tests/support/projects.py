"""A project of a test's own, whose quotas nobody else meets."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from openstack.connection import Connection

from testbed.openstack import OpenStack, clients
from testbed.openstack.config import PASSWORD


@dataclass(frozen=True)
class Project:
    """A project with one user, who has the role ``member``.

    Attributes:
        entry: Its entry of ``clouds.yaml``, by name and password.
    """

    openstack: OpenStack
    id: str
    entry: dict[str, Any]

    def connect(self) -> Connection:
        """Return this process's connection as the project's user."""
        return clients.kept(self.entry)

    def set_quota(self, resource: str, value: int) -> None:
        """Set one of Glance's limits, as ``OpenStack.set_quota`` does."""
        clients.set_limit(self.openstack.connect("system-admin"), self.id, resource, value)


@contextmanager
def own_project(openstack: OpenStack, name: str) -> Iterator[Project]:
    """Make a project and its user of this name; both are deleted in the end."""
    keystone = clients.keystone(openstack.connect("admin"))
    made = keystone.create_project(name=name, domain_id="default")
    user = keystone.create_user(name=name, password=PASSWORD, domain_id="default")
    [member] = keystone.roles(name="member")
    keystone.assign_project_role_to_user(made, user, member)
    login = {"username": name, "password": PASSWORD, "project_name": name}
    entry = openstack.cloud("images-password")
    try:
        yield Project(openstack, made.id, entry | {"auth": entry["auth"] | login})
    finally:
        keystone.delete_user(user)
        keystone.delete_project(made)
