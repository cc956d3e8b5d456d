"""The server of a boot test, as Nova is asked for it."""

from cloudimage.api.boot_test import BootTest, BootTestStatus
from cloudimage.api.cloudimage import CloudImage
from cloudimage.cloud.boot_servers import WantedServer
from cloudimage.cloud.models import GlanceImage
from cloudimage.cloud.neutron import NetworkRef
from cloudimage.guest.keys import KeyPair
from cloudimage.guest.user_data import user_data
from cloudimage.images.logic.boot_test import KEY_MARK, SERVER_MARK, mark_of
from cloudimage.vocabulary.boot_test import server_marks, server_name


def wanted(  # noqa: PLR0913, PLR0917 - what a test is of, each from elsewhere
    resource: CloudImage,
    test: BootTest,
    image: GlanceImage,
    state: BootTestStatus,
    token: str,
    key: KeyPair,
) -> WantedServer:
    """Return the server that a test needs.

    Args:
        resource: The CloudImage.
        test: Its spec.bootTest.
        image: What is tested.
        state: The test.
        token: 32 hexadecimal digits, other ones for each server.
        key: Has to let in.
    """
    name, networks = server_name(resource.metadata.uid, token), None
    if test.networks is not None:
        networks = tuple(NetworkRef(id=each.id, name=each.name) for each in test.networks)
    marks = {
        **server_marks(resource.metadata.uid, image.id, token),
        SERVER_MARK: mark_of(state),
        KEY_MARK: key.fingerprint,
    }
    return WantedServer(
        name=name,
        image_id=image.id,
        flavor=test.flavor,
        networks=networks,
        key_name=name,
        user_data=user_data(token, image.properties.get("os_type"), test.user),
        metadata=marks,
        volume_gib=test.volume_gib,
    )
