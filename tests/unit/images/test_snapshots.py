"""What the operator does about snapshots that a killed transfer has left."""

from typing import Any

import pytest

from cloudimage.access.policy import OPEN
from cloudimage.api.cloudimage import CloudImage
from cloudimage.cloud.config import CloudConfig
from cloudimage.cloud.errors import CloudError
from cloudimage.controller.errors import SourceUnreachableError
from cloudimage.credentials import loader
from cloudimage.images import snapshots
from cloudimage.images.snapshots import SnapshotLeftError, clear_left, may_be_left
from cloudimage.transfer.contract import Reason, TransferError
from support.resources import UID, cloud_image

ID = "0b1c2d3e-4f5a-4697-8879-6a5b4c3d2e1f"
OWN = CloudConfig({"auth": {"auth_url": "http://own"}})
OTHER = CloudConfig({"auth": {"auth_url": "http://other"}})


def resource(source: dict[str, Any], digest: str | None = "d") -> CloudImage:
    """Return a CloudImage of a source, with the digest of the last transfer."""
    made = cloud_image().to_json()
    made["spec"]["source"] = source
    made["status"] = {"digest": digest} if digest else {}
    return CloudImage.model_validate(made)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What is to come of it first, then what was cleared: the cloud, the name and the server."""
    found: list[Any] = []
    outcomes: list[bool | TransferError] = []

    def clear(services: Any, name: str, _seconds: float, *, server_id: str | None) -> bool:
        found.append((services, name, server_id))
        outcome = outcomes.pop(0) if outcomes else True
        if isinstance(outcome, TransferError):
            raise outcome
        return outcome

    monkeypatch.setattr(snapshots, "connected", lambda cloud, *_: cloud.config["auth"]["auth_url"])
    monkeypatch.setattr(snapshots, "Services", lambda connection, _: connection)
    monkeypatch.setattr(snapshots, "clear", clear)
    monkeypatch.setattr(loader, "load_other", lambda *_: OTHER)
    found.append(outcomes)
    return found


def cleared(made: CloudImage) -> None:
    kube: Any = None
    clear_left(kube, made, OWN, OPEN)


def test_it_is_looked_for_in_the_cloud_of_the_source(asked: list[Any]) -> None:
    ref = {"secretName": "old", "cloudName": "old"}
    name = f"cloudimage-snapshot-{UID}-d"
    cleared(resource({"volume": {"id": ID}}))
    cleared(resource({"volume": {"id": ID, "cloudCredentialsRef": ref}}))
    cleared(resource({"server": {"id": ID.upper(), "stopFirst": True}}))
    cleared(resource({"server": {"id": ID}}))
    # The spec may have been another one before.
    cleared(resource({"http": {"url": "https://example.org/x"}}))
    assert asked[1:] == [
        ("http://own", name, None),
        ("http://other", name, None),
        ("http://own", name, ID),
        ("http://own", name, None),
        ("http://own", name, None),
    ]


def test_without_a_transfer_nothing_can_be_left(asked: list[Any]) -> None:
    cleared(resource({"server": {"id": ID}}, digest=None))
    assert asked[1:] == []
    assert may_be_left(resource({"server": {"id": ID}}))
    assert not may_be_left(resource({"http": {"url": "https://example.org/x"}}))


def test_a_secret_that_is_gone_holds_nothing_up(
    asked: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: Any) -> CloudConfig:
        raise loader.SecretNotFoundError("no such Secret")

    monkeypatch.setattr(loader, "load_other", gone)
    ref = {"secretName": "old", "cloudName": "old"}
    cleared(resource({"volume": {"id": ID, "cloudCredentialsRef": ref}}))
    assert asked[1:] == []


@pytest.mark.parametrize(
    ("outcome", "error"),
    [
        (False, SnapshotLeftError),
        (TransferError(Reason.SOURCE_UNREACHABLE, "away"), SourceUnreachableError),
        (TransferError(Reason.SOURCE_REFUSED, "no right"), SnapshotLeftError),
    ],
)
def test_what_is_left_is_retried(
    asked: list[Any], outcome: bool | TransferError, error: type[CloudError]
) -> None:
    asked[0].append(outcome)
    with pytest.raises(error):
        cleared(resource({"volume": {"id": ID}}))
