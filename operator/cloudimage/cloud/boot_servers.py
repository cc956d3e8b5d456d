"""Servers that show whether an image boots: made, looked at, and taken away again."""

import base64
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

import requests
from openstack.connection import Connection

from cloudimage.access.failures import of_response, without_request_id
from cloudimage.cloud.answers import name, typed
from cloudimage.cloud.calls import ABSENT, Calls
from cloudimage.cloud.catalogue import offers
from cloudimage.cloud.errors import (
    CloudError,
    CloudUnreachableError,
    FlavorNotFoundError,
    NoConsoleError,
    ServerRefusedError,
    translated,
)
from cloudimage.cloud.models import TestServer
from cloudimage.cloud.neutron import NetworkRef, Neutron
from cloudimage.cloud.nova import is_of_test
from cloudimage.plaintext import plain
from cloudimage.vocabulary.boot_test import ANY_PREFIX, TOKEN_MARK, name_prefix
from cloudimage.vocabulary.marks import Marks

MAX_USER_DATA: Final = 65535
"""Characters of base64 that Nova takes: ``user_data`` of "Create Server" in its API reference."""

MAX_CONSOLE: Final = 256 * 2**10
"""Bytes. Nova's libvirt driver gives 100 KiB at most."""

_MAX_FAULT: Final = 500
_WORDS_FOR_NETWORKS: Final = "2.37"
"""The microversion since which Nova takes "auto" and "none" for a server's networks."""

_DELETED_WITH_SERVER: Final = "2.3"
"""The microversion since which Nova says which volumes it deletes together with their server."""

_BUILD_OF: Final = re.compile(r"^Build of instance \S+ aborted: ")


@dataclass(frozen=True, slots=True)
class WantedServer:
    """What a test needs.

    Attributes:
        name: Of the server: :func:`cloudimage.vocabulary.boot_test.server_name`.
        flavor: Its id or its name.
        networks: None: what Nova chooses ("auto"); empty: none at all.
        key_name: Name of the key pair that is made for it.
        user_data: What the guest runs.
        metadata: :func:`cloudimage.vocabulary.boot_test.server_marks`.
        volume_gib: Size of the volume to boot from; None: from the image itself.
    """

    name: str
    image_id: str
    flavor: str
    networks: tuple[NetworkRef, ...] | None
    key_name: str
    user_data: bytes
    metadata: Mapping[str, str]
    volume_gib: int | None = None


class BootServers:
    """The compute service, for the boot tests of the credentials' own project."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._nova = Calls(connection, "compute")
        self._neutron = Neutron(connection)

    def create(self, wanted: WantedServer, public_key: str) -> str:
        """Make the key pair and the server, and return the server's id.

        The key pair goes again if there is no server for it. Where no answer came, the server may
        be there: :meth:`find` tells.

        Args:
            wanted: The server.
            public_key: As in ``authorized_keys``.

        Raises:
            FlavorNotFoundError: There is no such flavor.
            FlavorTooSmallError: It, or the volume, is too small for the image.
            NetworkNotFoundError: There is no such network, or none at all.
            NetworkAmbiguousError: Several have the name, or Nova does not choose among them.
            QuotaExceededError: Of servers, cores, memory, key pairs or ports.
            ForbiddenError: The cloud's policy, or the credentials' access rules, do not allow it.
            ServerRefusedError: Nova refuses it for another reason, or there is no Nova.
            CloudError: Anything else.
        """
        if not offers(self._connection, "compute"):
            raise ServerRefusedError(
                "the cloud's catalogue has no compute service, so no image can be booted there"
            )
        body = self._body(wanted)
        key = {"keypair": {"name": wanted.key_name, "public_key": public_key}}
        self._nova.send("POST", "/os-keypairs", "making the test's key pair", json=key)
        try:
            return self._made(body)
        except CloudError:
            # What Nova took of the key it took before it answered.
            with suppress(CloudError):
                self._delete_key(wanted.key_name)
            raise

    def _made(self, body: dict[str, Any]) -> str:
        doing = "making the test server"
        needed = _WORDS_FOR_NETWORKS if isinstance(body["networks"], str) else None
        answer = self._nova.send(
            "POST", "/servers", doing, json={"server": body}, microversion=needed
        )
        with translated(doing):
            return name(answer.json()["server"]["id"])

    def _body(self, wanted: WantedServer) -> dict[str, Any]:
        user_data = base64.b64encode(wanted.user_data).decode()
        if len(user_data) > MAX_USER_DATA:
            raise ServerRefusedError(
                f"the test's user data is of {len(user_data)} characters in base64, and Nova takes "
                f"{MAX_USER_DATA} at most"
            )
        return {
            "name": wanted.name,
            "flavorRef": self._flavor_id(wanted.flavor),
            "networks": self._networks(wanted.networks),
            "key_name": wanted.key_name,
            "user_data": user_data,
            # Not every network has a metadata service, and without a network none is reached.
            "config_drive": True,
            "metadata": dict(wanted.metadata),
            **_boots_from(wanted),
        }

    def _networks(self, wanted: tuple[NetworkRef, ...] | None) -> str | list[dict[str, str]]:
        if not wanted:
            return "auto" if wanted is None else "none"
        return [{"uuid": each.id or self._neutron.network_id(each.name or "")} for each in wanted]

    def _flavor_id(self, wanted: str) -> str:
        """Return the id of a flavor, private ones that the project may use included."""
        doing = f"looking up the flavor {wanted!r}"
        answer = self._nova.send("GET", f"/flavors/{quote(wanted, safe='')}", doing, fine=ABSENT)
        with translated(doing):
            # Not so where the name is that of another path, as "detail" is.
            if answer.ok and "flavor" in answer.json():
                return wanted
        # Administrators are shown the public ones alone, unless they ask for the others as well.
        listed = self._nova.listed("/flavors", "flavors", doing, {"is_public": "None"})
        named = next((each["id"] for each in listed if each.get("name") == wanted), None)
        if named is None:
            raise FlavorNotFoundError(
                f"Nova has no flavor of the id or the name {wanted!r} for these credentials; "
                "choose another, or have it made available to the project"
            )
        return name(named)

    def find(self, uid: str) -> tuple[TestServer, ...]:
        """Return the servers that test images of a CloudImage.

        Raises:
            CloudError: Nova could not be asked.
        """
        if not offers(self._connection, "compute"):
            return ()
        return tuple(
            each
            for each in map(_server, self._tests(name_prefix(uid)))
            if each.metadata.get(Marks.UID) == uid
        )

    def volumes_of_tests(self, image_id: str) -> Mapping[str, str]:
        """Return the ids of volumes made of an image for tests, each with the id of its server.

        A volume that somebody else attached to such a server is not among them.

        Raises:
            CloudError: Nova could not be asked.
        """
        if not offers(self._connection, "compute"):
            return {}
        tests = self._tests(ANY_PREFIX)
        ours = (each for each in tests if _server(each).image_id == image_id)
        with translated("listing the volumes of test servers"):
            return {
                name(volume["id"]): name(body["id"])
                for body in ours
                for volume in body.get("os-extended-volumes:volumes_attached", ())
                if volume.get("delete_on_termination") is True
            }

    def _tests(self, prefix: str) -> Iterator[dict[str, Any]]:
        """Yield the own project's test servers whose names begin so; Nova takes an expression."""
        doing = "listing the test servers"
        query = {"name": f"^{prefix}"}  # letters, digits and dashes
        path, needed = "/servers/detail", _DELETED_WITH_SERVER
        listed = self._nova.listed(path, "servers", doing, query, needed)
        yield from (each for each in listed if self._is_ours(each))

    def read(self, server_id: str) -> TestServer | None:
        """Return a test's server; None: it is gone, or not one of ours.

        Raises:
            CloudError: Nova could not be asked.
        """
        doing = "reading the test server"
        answer = self._nova.send("GET", _path(server_id), doing, fine=ABSENT)
        if not answer.ok:
            return None
        with translated(doing):
            body = answer.json()["server"]
            return _server(body) if self._is_ours(body) else None

    def console(self, server_id: str, lines: int) -> str:
        """Return the last lines of the console; empty as long as the guest has written nothing.

        Args:
            server_id: Of the server.
            lines: How many at most.

        Raises:
            NoConsoleError: Nova has none of this server, or not yet.
            ServerRefusedError: It has none of any server there.
            CloudError: Nova could not be asked, or does not allow it.
        """
        doing = "reading the console of the test server"
        answer = self._act(
            server_id, {"os-getConsoleOutput": {"length": lines}}, doing, _NO_CONSOLE
        )
        if not answer.ok:
            never = answer.status_code == HTTPStatus.NOT_IMPLEMENTED
            kind = ServerRefusedError if never else NoConsoleError
            raise kind(f"{doing}: {of_response(answer).sentence.rstrip('.')}")
        with translated(doing):
            output = answer.json()["output"] or ""
            if not isinstance(output, str):
                raise TypeError("a console that is no text")
        return output.encode(errors="replace")[-MAX_CONSOLE:].decode(errors="ignore")

    def delete(self, server_id: str) -> None:
        """Have Nova begin to delete a test's server, its ports and its volume.

        A server that is gone, or not one of ours, is left alone.

        Raises:
            CloudError: Nova could not be asked, or does not allow it.
        """
        if self.read(server_id) is None:
            return
        doing = "deleting the test server"
        try:
            # Nova may keep a deleted server, its ports and its volume for hours, to restore it
            # (reclaim_instance_interval), unless it is forced.
            self._act(server_id, {"forceDelete": None}, doing, ABSENT)
        except CloudUnreachableError:
            raise
        except CloudError:
            self._nova.send("DELETE", _path(server_id), doing, fine=ABSENT)

    def delete_keys(self, uid: str) -> None:
        """Delete every key pair of a CloudImage's tests.

        Key pairs are of the user who made them, not of the project.

        Raises:
            CloudError: Nova could not be asked, or does not allow it.
        """
        if not offers(self._connection, "compute"):
            return
        doing = "listing the tests' key pairs"
        answer = self._nova.send("GET", "/os-keypairs", doing)
        with translated(doing):
            names = [name(each["keypair"]["name"]) for each in answer.json()["keypairs"]]
        for each in names:
            if each.startswith(name_prefix(uid)):
                self._delete_key(each)

    def _delete_key(self, key_name: str) -> None:
        path = f"/os-keypairs/{quote(key_name, safe='')}"
        doing = "deleting the test's key pair"
        self._nova.send("DELETE", path, doing, fine=ABSENT)

    def _is_ours(self, body: dict[str, Any]) -> bool:
        own = self._nova.project_id()
        with translated("reading a server"):
            return is_of_test(body, own)

    def _act(
        self, server_id: str, action: dict[str, Any], doing: str, fine: tuple[HTTPStatus, ...]
    ) -> requests.Response:
        path = f"{_path(server_id)}/action"
        return self._nova.send("POST", path, doing, fine=fine, json=action)


def _path(server_id: str) -> str:
    return f"/servers/{quote(server_id, safe='')}"


_NO_CONSOLE: Final = (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.NOT_IMPLEMENTED)
"""No such console; the server is not ready; the driver has none ("Show Console Output")."""


def _boots_from(wanted: WantedServer) -> dict[str, Any]:
    if wanted.volume_gib is None:
        return {"imageRef": wanted.image_id}
    disk = {
        "boot_index": 0,
        "source_type": "image",
        "uuid": wanted.image_id,
        "destination_type": "volume",
        "volume_size": wanted.volume_gib,
        "delete_on_termination": True,
    }
    return {"block_device_mapping_v2": [disk]}


def _server(body: dict[str, Any]) -> TestServer:
    """Return what "Show Server Details" has; times are in UTC, though one does not say so."""
    with translated("reading a test server"):
        image, metadata = body.get("image"), body.get("metadata") or {}
        launched = body.get("OS-SRV-USG:launched_at")
        return typed(
            TestServer,
            id=name(body["id"]),
            name=name(body.get("name")),
            image_id=image["id"] if image else metadata.get(Marks.IMAGE_ID),
            status=name(body["status"]),
            fault=_fault(body),
            task_state=body.get("OS-EXT-STS:task_state"),
            created_at=body["created"],
            launched_at=launched and datetime.fromisoformat(launched).replace(tzinfo=UTC),
            addresses=[
                each["addr"]
                for network in (body.get("addresses") or {}).values()
                for each in network
            ],
            token=metadata.get(TOKEN_MARK),
            metadata=metadata,
        )


def _fault(body: dict[str, Any]) -> str | None:
    message = (body.get("fault") or {}).get("message")
    if not isinstance(message, str):
        return None
    # The server's own id is another at each try.
    return _BUILD_OF.sub("", without_request_id(plain(message, _MAX_FAULT)))
