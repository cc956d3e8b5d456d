"""Connections of openstacksdk that follow the bed's own entries and nothing else."""

import contextlib
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from openstack.connection import Connection
    from openstack.identity.v3._proxy import Proxy as Keystone
    from openstack.image.v2._proxy import Proxy as Glance

GONE_SECONDS = 60.0


def connect(entry: Mapping[str, Any]) -> "Connection":
    """Connect as an entry of ``clouds.yaml`` says; no file or variable of the caller is read."""
    from openstack.config import OpenStackConfig  # noqa: PLC0415 - slow, not needed to start
    from openstack.connection import Connection  # noqa: PLC0415

    config = OpenStackConfig(load_yaml_config=False, load_envvars=False)
    return Connection(config=config.get_one(**entry))


def keystone(connection: "Connection") -> "Keystone":
    """Return the identity API; the SDK's own type allows for version 2, which is long gone."""
    return cast("Keystone", connection.identity)


def glance(connection: "Connection") -> "Glance":
    """Return the image API; the SDK's own type allows for version 1."""
    return cast("Glance", connection.image)


def set_limit(system_admin: "Connection", project_id: str, resource: str, value: int) -> None:
    """Set a project's unified limit, whether it has one already or not."""
    identity = keystone(system_admin)
    limit = next(identity.limits(project_id=project_id, resource_name=resource), None)
    if limit is not None:
        identity.update_limit(limit, resource_limit=value)
        return
    registered = next(identity.registered_limits(resource_name=resource), None)
    if registered is None:
        raise ValueError(f"Glance knows no limit {resource!r}")
    identity.create_limit(
        service_id=registered.service_id,
        region_id=registered.region_id,
        project_id=project_id,
        resource_name=resource,
        resource_limit=value,
    )


def delete_servers(admin: "Connection") -> None:
    """Delete the servers of every project and wait until they are gone."""

    def rest() -> list[Any]:
        servers = list(admin.compute.servers(details=False, all_projects=True))
        for server in servers:
            with _not_now():
                admin.compute.delete_server(server)
        return servers

    _until_empty("servers", rest)


def delete_images(admin: "Connection") -> None:
    """Delete the images of every project, hidden and protected ones too."""

    def rest() -> list[Any]:
        api = glance(admin)
        images = [image for hidden in (False, True) for image in api.images(is_hidden=hidden)]
        for image in images:
            with _not_now():
                if image.is_protected:
                    api.update_image(image, is_protected=False)
                api.delete_image(image)
        return images

    _until_empty("images", rest)


def _not_now() -> contextlib.suppress:
    """Suppress the refusal of what is gone already, or busy and refused for now."""
    from openstack import exceptions  # noqa: PLC0415

    return contextlib.suppress(exceptions.NotFoundException, exceptions.ConflictException)


def _until_empty(what: str, delete_rest: Callable[[], list[Any]]) -> None:
    """Repeat until nothing is left: deletion takes its time, and may be refused at first."""
    deadline = time.monotonic() + GONE_SECONDS
    while rest := delete_rest():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{len(rest)} {what} are still there after {GONE_SECONDS:.0f} s")
        time.sleep(0.1)
