"""What tests of boot tests look at in the cloud."""

from dataclasses import dataclass
from typing import Any

from openstack.connection import Connection

from cloudimage.api.cloudimage import CloudImage
from support.namespaces import Namespace, images_of, wait_until

SHOWN_BY_THE_FAKE = {
    "ipv4": False,
    "ipv6": False,
    "sshKey": False,
    "consoleMatches": "FAKE CONSOLE",
    "within": "30s",
}
"""What a server of Nova's fake driver shows: the text of its console, and no guest at all."""


def boot_test(expect: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """Return a spec.bootTest that a server of Nova's fake driver passes."""
    expect = SHOWN_BY_THE_FAKE | (expect or {})
    whole = {"flavor": "m1.tiny", "networks": [], "expect": expect, **changes}
    return {name: value for name, value in whole.items() if value is not None}


@dataclass(frozen=True)
class Watched:
    """What there is of a CloudImage in its cloud."""

    namespace: Namespace
    connection: Connection
    name: str

    def image(self) -> dict[str, Any]:
        """Return the one image that there is."""
        [image] = images_of(self.connection, self.uid)
        return image

    @property
    def uid(self) -> str:
        """That of the CloudImage."""
        resource = self.namespace.get(self.name)
        assert resource is not None
        return resource.metadata.uid

    def servers(self, uid: str | None = None) -> list[dict[str, Any]]:
        """Return the test servers that Nova has."""
        uid = uid or self.uid
        listed = self.connection.compute.get("/servers/detail").json()["servers"]
        return [each for each in listed if uid in each["name"]]

    def keys(self, uid: str | None = None) -> list[str]:
        """Return the names of the tests' key pairs."""
        uid = uid or self.uid
        listed = self.connection.compute.get("/os-keypairs").json()["keypairs"]
        names = [each["keypair"]["name"] for each in listed]
        return [each for each in names if uid in each]

    def nothing_left(self, uid: str | None = None, seconds: float = 30) -> bool:
        """Wait until neither a server nor a key pair is there."""
        uid = uid or self.uid
        return wait_until(lambda: not self.servers(uid) and not self.keys(uid), seconds)

    def tested(self, seconds: float = 60) -> CloudImage:
        """Wait until the test's server is there."""

        def there(resource: CloudImage) -> bool:
            state = resource.status.boot_test
            return state is not None and state.server_id is not None

        return self.namespace.wait(self.name, there, seconds)

    def cleared(self, seconds: float = 60) -> CloudImage:
        """Wait until a result is known and nothing is left of the test."""

        def clear(resource: CloudImage) -> bool:
            state = resource.status.boot_test
            return state is not None and state.result is not None and state.server_id is None

        return self.namespace.wait(self.name, clear, seconds)
