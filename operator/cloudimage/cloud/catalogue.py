"""What Keystone's catalogue says about the cloud's services."""

from keystoneauth1.exceptions import EndpointNotFound
from openstack.connection import Connection

from cloudimage.cloud.errors import translated


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
