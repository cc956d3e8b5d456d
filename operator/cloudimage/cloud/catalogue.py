"""What Keystone's catalogue says about the cloud's services."""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final

from keystoneauth1.exceptions import EndpointNotFound
from keystoneauth1.identity import BaseIdentityPlugin
from openstack.connection import Connection
from openstack.exceptions import NotSupported, ServiceDiscoveryException

from cloudimage.access.entry import shown
from cloudimage.access.failures import EXCEPTIONS, of_exception, of_response
from cloudimage.cloud.errors import CloudError, CloudMisconfiguredError, error_of, translated

_MOST_NAMED: Final = 10


def offers(connection: Connection, service_type: str) -> bool:
    """Return whether the cloud has a service, by its official type or an older name of that.

    The SDK cannot be asked for a service that is not there: that is an exception of its own.

    Raises:
        CloudError: Keystone did not say either.
    """
    with translated(f"finding the {service_type} service"):
        try:
            return connection.config.get_session_client(service_type).get_endpoint() is not None
        except EndpointNotFound:
            return False


def image_service(connection: Connection) -> Any:  # noqa: ANN401 - the SDK's, which has no type of its own
    """Return the SDK's client of the image service.

    Raises:
        CloudMisconfiguredError: The catalogue has none for the region and the interface of
            clouds.yaml, or no Glance is there.
        CloudError: It does not answer.
    """
    with translated("finding the image service"):
        version = connection.config.get_api_version("image")
    if version and not version.startswith("2"):
        raise CloudMisconfiguredError(
            f"clouds.yaml asks for version {version} of the image service by image_api_version; "
            "write 2, or leave it out"
        )
    if not offers(connection, "image"):
        with translated("reading the catalogue"):
            raise CloudMisconfiguredError(_lacking(connection))
    try:
        return connection.image  # the SDK may ask the service for its versions
    except (NotSupported, ServiceDiscoveryException) as error:
        # The SDK does not say why it got no versions.
        raise _not_glance(connection) from error
    except EXCEPTIONS as error:
        raise error_of(of_exception(error), "finding the image service") from error


def _not_glance(connection: Connection) -> CloudError:
    what = "finding the image service"
    with translated(what):
        url = str(connection.config.get_session_client("image").get_endpoint(version=None))
        answer = connection.session.get(url, authenticated=False, raise_exc=False)
    if answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return error_of(of_response(answer), what)
    return CloudMisconfiguredError(
        f"{what}: what answers at {shown(url, 200)} is not version 2 of Glance's API; change "
        "image_endpoint_override in clouds.yaml, or have the catalogue corrected"
    )


def _lacking(connection: Connection) -> str:
    """Return what the catalogue does not have, and what it has."""
    login = connection.session.auth
    if not isinstance(login, BaseIdentityPlugin):
        return "the credentials do not use Keystone"
    access = login.get_access(connection.session)
    if access.project_id is None:
        return (
            "the login is for no project, so there is no catalogue of services; name the project "
            "by auth.project_id, or by auth.project_name and its domain"
        )
    config = connection.config
    catalog = access.service_catalog.catalog if access.has_service_catalog() else []
    asked = {
        "region_name": config.get_region_name("image"),
        "interface": config.get_interface("image"),
        "image_service_type": config.get_service_type("image"),
        "image_service_name": config.get_service_name("image"),
    }
    wanted = ", ".join(f"{key} {shown(value)}" for key, value in asked.items() if value)
    there = sorted({each for service in catalog for each in _endpoints(service)})
    named = ", ".join(there[:_MOST_NAMED])
    more = f" and {len(there) - _MOST_NAMED} more" if there[_MOST_NAMED:] else ""
    has = f"it has: {named}{more}" if there else "it has no image service at all"
    return (
        f"the cloud's catalogue has no image service for {wanted}; {has}. Change these in "
        "clouds.yaml"
    )


def _endpoints(service: Mapping[str, Any]) -> Iterator[str]:
    """Yield region and interface of each endpoint of an image service."""
    if service.get("type") == "image":
        for each in service.get("endpoints", ()):
            region = each.get("region_id") or each.get("region")
            yield f"{shown(region)} ({shown(each.get('interface'))})"
