"""Connections of openstacksdk that follow the bed's own entries and nothing else."""

import json
import time
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from openstack.connection import Connection
    from openstack.identity.v3._proxy import Proxy as Keystone
    from openstack.image.v2._proxy import Proxy as Glance

GONE_SECONDS = 60.0


def kept(entry: Mapping[str, Any]) -> "Connection":
    """Return this process's one connection for an entry of ``clouds.yaml``.

    A login takes a third of a second of processor time, and a test needs several.
    """
    return _kept(json.dumps(entry, sort_keys=True))


def forget() -> None:
    """Have everybody log in again, who would otherwise know only the earlier catalogue."""
    _kept.cache_clear()


@cache
def _kept(entry: str) -> "Connection":
    return connect(json.loads(entry))


def connect(entry: Mapping[str, Any]) -> "Connection":
    """Connect as an entry of ``clouds.yaml`` says; no file or variable of the caller is read."""
    from openstack.config import OpenStackConfig
    from openstack.connection import Connection

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
    nova = admin.compute
    _delete("servers", lambda: nova.servers(details=False, all_projects=True), nova.delete_server)


def delete_images(admin: "Connection") -> None:
    """Delete the images of every project, hidden and protected ones too."""
    api = glance(admin)

    def delete(image: Any) -> None:
        if image.is_protected:
            api.update_image(image, is_protected=False)
        api.delete_image(image)

    _delete("images", lambda: chain(api.images(), api.images(is_hidden=True)), delete)


def _delete(what: str, find: Callable[[], Iterable[Any]], delete: Callable[[Any], object]) -> None:
    """Delete until nothing is found: it takes its time, and what is busy may refuse at first."""
    from openstack.exceptions import HttpException

    deadline = time.monotonic() + GONE_SECONDS
    refusal: HttpException | None = None
    while rest := list(find()):
        if time.monotonic() > deadline:
            message = f"{len(rest)} {what} are still there after {GONE_SECONDS:.0f} s"
            raise TimeoutError(message) from refusal
        for each in rest:
            try:
                delete(each)
            except HttpException as error:
                refusal = error
        time.sleep(0.1)
