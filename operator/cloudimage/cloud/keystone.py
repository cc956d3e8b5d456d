"""Keystone: the projects that the credentials may see."""

from collections.abc import Callable
from typing import Any, TypeVar

from keystoneauth1.identity import BaseIdentityPlugin
from openstack.connection import Connection
from openstack.exceptions import raise_from_response

from cloudimage.access import logins
from cloudimage.cloud.answers import name, typed
from cloudimage.cloud.errors import (
    CloudError,
    ForbiddenError,
    NotAcceptedError,
    NotFoundError,
    translated,
)
from cloudimage.cloud.models import Project

T = TypeVar("T")


class Keystone:
    """The identity service. By default only administrators may look others' projects up."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def own(self) -> tuple[Project, frozenset[str]]:
        """Return the credentials' own project, and the name and the id of its domain.

        Raises:
            CloudError: Keystone did not say.
        """
        session = self._connection.session
        login = session.auth
        if not isinstance(login, BaseIdentityPlugin):
            raise CloudError("reading the token: the credentials do not use Keystone")
        with translated("reading the token"):
            access = login.get_access(session)
            if access.project_id is None:
                raise CloudError("reading the token: the credentials are not scoped to a project")
            names = (access.project_domain_name, access.project_domain_id)
            domain = frozenset(name(each) for each in names if each is not None)
            return typed(Project, id=access.project_id, name=access.project_name), domain

    def login(self) -> str | None:
        """Return the state of the login, which another process may go on with; it is a secret."""
        return logins.state_of(self._connection.session)

    def roles(self) -> tuple[str, ...]:
        """Return the names of the roles that the credentials have in their project.

        Raises:
            CloudError: Keystone did not say.
        """
        login = self._connection.session.auth
        if not isinstance(login, BaseIdentityPlugin):
            raise CloudError("reading the token: the credentials do not use Keystone")
        with translated("reading the token"):
            access = login.get_access(self._connection.session)
            return tuple(name(each) for each in access.role_names or ())

    def project(self, project_id: str) -> Project | None:
        """Return the project of that id, or None.

        Without the right to look it up it is believed to be there, and its name is not known.

        Raises:
            CloudError: Keystone did not say.
        """
        what = f"looking up project {project_id}"
        try:
            return self._get(
                f"/projects/{project_id}", what, lambda body: _project(body["project"])
            )
        except NotFoundError:
            return None
        except (ForbiddenError, NotAcceptedError):
            return Project(project_id, is_checked=False)

    def find(self, name: str, domain: str) -> Project | None:
        """Return the project of that name in a domain, or None.

        Args:
            name: Its name.
            domain: Name or id of the domain.

        Raises:
            ForbiddenError: The credentials may not look projects up.
            CloudError: Keystone did not say.
        """
        found = [
            project
            for domain_id in self._domain_ids(domain)
            for project in self._projects({"name": name, "domain_id": domain_id})
        ]
        return found[0] if found else None

    def of_domain(self, domain: str) -> tuple[Project, ...] | None:
        """Return all projects of a domain, by its name or id; None if there is no such domain.

        Raises:
            ForbiddenError: The credentials may not list them.
            CloudError: Keystone did not say, or only in part.
        """
        ids = self._domain_ids(domain)
        return tuple(self._projects({"domain_id": ids[0]})) if ids else None

    def _domain_ids(self, domain: str) -> list[str]:
        """Return the id of a domain; what cannot be looked up is taken for an id."""
        what = f"looking up domain {domain}"
        try:
            return self._get("/domains", what, _ids_of_domains, name=domain) or [
                self._get(f"/domains/{domain}", what, lambda body: str(body["domain"]["id"]))
            ]
        except NotFoundError:
            return []
        except ForbiddenError:
            return [domain]

    def _projects(self, query: dict[str, str]) -> list[Project]:
        return self._get("/projects", "listing projects", _projects, **query)

    def _get(self, path: str, what: str, take: Callable[[Any], T], **query: str) -> T:
        """Return what ``take`` makes of the answer."""
        with translated(what):
            response = self._connection.identity.get(path, params=query)
            raise_from_response(response)
            return take(response.json())


def _ids_of_domains(body: dict[str, Any]) -> list[str]:
    return [str(each["id"]) for each in body["domains"]]


def _projects(body: dict[str, Any]) -> list[Project]:
    if body.get("truncated") or (body.get("links") or {}).get("next"):
        raise CloudError(
            "listing projects: Keystone shows only some of them (its list_limit); name the "
            "projects one by one, or ask for a higher limit"
        )
    return list(map(_project, body["projects"]))


def _project(body: dict[str, Any]) -> Project:
    return typed(Project, id=body["id"], name=name(body["name"]))
