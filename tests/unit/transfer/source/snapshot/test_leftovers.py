"""In which order what was made for a snapshot goes."""

import json
from typing import Any, cast

import pytest

from cloudimage.transfer.contract import Reason, TransferError
from cloudimage.transfer.source.snapshot.labels import STOPPED, volume_snapshot
from cloudimage.transfer.source.snapshot.leftovers import clear, snapshot_ids
from cloudimage.transfer.source.snapshot.services import (
    Image,
    Server,
    Services,
    Volume,
    VolumeSnapshot,
)

NAME = "cloudimage-snapshot-x"
MAPPING = json.dumps(
    [
        {"boot_index": None, "snapshot_id": "data"},
        {"boot_index": 0, "snapshot_id": "boot"},
        {"boot_index": 1, "image_id": "none"},
    ]
)


class Cloud:
    """A cloud that fails in ways in which a real one cannot be made to: it notes what is deleted.

    A volume goes at the second look, and Cinder refuses the deletion of one that is being read.
    """

    def __init__(self) -> None:
        self.done: list[str] = []
        self.images_left = {
            "record": Image(
                id="record", name=NAME, status="active", size=0, block_device_mapping=MAPPING
            ),
            "disk": Image(id="disk", name=NAME, status="saving"),
        }
        self.volumes_left = {"volume": Volume(id="volume", name=NAME, size=1, status="uploading")}
        self.snapshots_left = {
            name: VolumeSnapshot(id=name, name=volume_snapshot(NAME), size=1, status="available")
            for name in ("boot", "data")
        }
        self.refused: Reason | None = None
        self.server = Server.model_validate(
            {"id": "server", "status": "SHUTOFF", "metadata": {STOPPED: NAME}}
        )

    def named(self, name: str) -> list[Any]:
        """Return the images."""
        assert name == NAME
        return list(self.images_left.values())

    def delete(self, identifier: str) -> None:
        """Delete an image."""
        self.done.append(identifier)
        del self.images_left[identifier]


class _Volumes:
    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud

    def are_offered(self) -> bool:
        return True

    def named(self, name: str) -> list[Volume]:
        if self.cloud.refused:
            raise TransferError(self.cloud.refused, "no")
        found = [each for each in self.cloud.volumes_left.values() if each.name == name]
        for each in found:
            if each.status == "deleting":
                del self.cloud.volumes_left[each.id]
        return found

    def delete(self, identifier: str) -> None:
        if "disk" in self.cloud.images_left:
            raise TransferError(Reason.SOURCE_REFUSED, "Volume status must be available")
        self.cloud.done.append(identifier)
        self.cloud.volumes_left[identifier] = self.cloud.volumes_left[identifier].model_copy(
            update={"status": "deleting"}
        )

    def snapshots_named(self, name: str) -> list[VolumeSnapshot]:
        if self.cloud.refused:
            raise TransferError(self.cloud.refused, "no")
        return [each for each in self.cloud.snapshots_left.values() if each.name == name]

    def snapshot(self, identifier: str) -> VolumeSnapshot | None:
        return self.cloud.snapshots_left.get(identifier)

    def delete_snapshot(self, identifier: str) -> None:
        assert not self.cloud.volumes_left, "its volume may depend on it"
        if identifier in self.cloud.snapshots_left:
            self.cloud.done.append(identifier)
            del self.cloud.snapshots_left[identifier]


class _Servers:
    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud

    def are_offered(self) -> bool:
        return True

    def show(self, _identifier: str) -> Server:
        return self.cloud.server

    def act(self, identifier: str, action: str) -> None:
        self.cloud.done.append(f"{action} {identifier}")

    def forget(self, identifier: str, _name: str) -> None:
        self.cloud.done.append(f"forget {identifier}")
        self.cloud.server = self.cloud.server.model_copy(update={"metadata": {}})


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloudimage.transfer.source.snapshot.leftovers._PAUSE", 0.0)


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


@pytest.fixture
def services(cloud: Cloud) -> Services:
    made: Any = Services.__new__(Services)
    made.images, made.volumes, made.servers = cloud, _Volumes(cloud), _Servers(cloud)
    return cast("Services", made)


def test_what_is_read_goes_before_what_it_is_read_from_and_the_record_last(
    cloud: Cloud, services: Services
) -> None:
    assert clear(services, NAME, 9)
    assert cloud.done == ["disk", "volume", "boot", "data", "record"]


def test_the_server_that_was_stopped_is_started(cloud: Cloud, services: Services) -> None:
    assert clear(services, NAME, 9, server_id="server")
    assert cloud.done[:2] == ["os-start server", "forget server"]


@pytest.mark.parametrize(
    "change",
    [
        {"metadata": {STOPPED: "cloudimage-snapshot-other"}},
        {"metadata": {}},
    ],
)
def test_a_server_that_somebody_else_stopped_stays_off(
    cloud: Cloud, services: Services, change: dict[str, Any]
) -> None:
    cloud.server = cloud.server.model_copy(update=change)
    assert clear(services, NAME, 9, server_id="server")
    assert "os-start server" not in cloud.done


def test_time_that_is_up_is_said(cloud: Cloud, services: Services) -> None:
    assert not clear(services, NAME, 0)
    assert "record" in cloud.images_left, "it is by this that the rest is found"


def test_who_may_not_even_list_volumes_has_made_none(cloud: Cloud, services: Services) -> None:
    cloud.refused = Reason.SOURCE_REFUSED
    del cloud.images_left["record"]
    assert clear(services, NAME, 9)
    assert cloud.done == ["disk"]


def test_a_cloud_that_is_away_is_not_a_cloud_without_volumes(
    cloud: Cloud, services: Services
) -> None:
    cloud.refused = Reason.SOURCE_UNREACHABLE
    with pytest.raises(TransferError):
        clear(services, NAME, 9)


@pytest.mark.parametrize(
    ("mapping", "found"),
    [
        (MAPPING, ["boot", "data"]),
        (None, []),
        ("no JSON", []),
        ("[1]", []),
        ('{"a": 1}', []),
        ('[{"snapshot_id": "../../volumes/x"}]', []),
        ("[" * 100000, []),
    ],
)
def test_what_a_record_names_is_read_with_care(mapping: str | None, found: list[str]) -> None:
    image = Image(id="i", block_device_mapping=mapping)
    assert snapshot_ids(image) == found
