"""Faults of the operator's own: told in conditions and Events, without what the exception said."""

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kubernetes.client import ApiException
from urllib3.exceptions import ReadTimeoutError

from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.imageshare import ImageShare
from cloudimage.api.meta import Event, Resource
from cloudimage.controller.faults import FaultTeller, name_of, passes, surviving, without_text
from cloudimage.controller.logic.fault_status import after_fault, conditions_of
from cloudimage.kube import Key, Kube
from support.resources import NOW

KEY = Key("images", "debian-12")


def thing(**parts: Any) -> dict[str, Any]:
    """Return an object as the API server has it."""
    metadata = {
        "name": KEY.name,
        "namespace": KEY.namespace,
        "uid": "u",
        "generation": 2,
        "resourceVersion": "1",
        **parts.pop("metadata", {}),
    }
    return {"metadata": metadata, "spec": {"unknown": True}, **parts}


def ready(status: str) -> dict[str, Any]:
    """Return a condition Ready."""
    return {
        "type": "Ready",
        "status": status,
        "reason": "Available",
        "message": "It serves.",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
        "observedGeneration": 1,
    }


def told(body: dict[str, Any]) -> dict[str, tuple[str, str]]:
    status = after_fault(body, "RecursionError", NOW)
    return {each["type"]: (each["status"], each["reason"]) for each in status["conditions"]}


def test_an_object_without_a_status_gets_conditions() -> None:
    fault = ("True", "InternalError")
    assert told(thing()) == {"Ready": ("False", "InternalError"), "Stalled": fault}
    status = after_fault(thing(), "RecursionError", NOW)
    assert status["observedGeneration"] == 2
    assert "RecursionError" in status["conditions"][0]["message"]
    assert "up to 5 minutes" in status["conditions"][0]["message"]


def test_an_image_that_serves_goes_on_serving() -> None:
    conditions = told(thing(status={"conditions": [ready("True")]}))
    assert conditions["Ready"] == ("True", "Available")
    assert conditions["Stalled"] == ("True", "InternalError")


def test_a_deletion_that_fails_says_that_it_is_blocked() -> None:
    body = thing(metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"})
    assert told(body)["DeletionBlocked"] == ("True", "InternalError")


@pytest.mark.parametrize(
    "status", [None, [], "x", {"conditions": None}, {"conditions": "x"}, {"conditions": [{}, 1]}]
)
def test_a_status_that_is_not_understood_hides_nothing(status: Any) -> None:
    assert told(thing(status=status))["Stalled"] == ("True", "InternalError")


@given(st.text(max_size=20))
def test_the_rest_of_the_status_stays(text: str) -> None:
    status = after_fault(thing(status={"imageID": text, "conditions": []}), "X", NOW)
    assert status["imageID"] == text


def test_the_same_fault_again_changes_nothing() -> None:
    first = after_fault(thing(), "X", NOW)
    assert after_fault(thing(status=first), "X", NOW) == first
    assert len(conditions_of({"status": first})) == 2


@dataclass
class FakeKube:
    """An API server with one object."""

    thing: dict[str, Any] | None
    written: list[dict[str, Any]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def read_raw(self, _model: type[Resource], _key: Key) -> dict[str, Any] | None:
        """Return the object."""
        return self.thing

    def write_raw_status(self, _model: type[Resource], _key: Key, body: dict[str, Any]) -> None:
        """Replace its status."""
        self.written.append(body)
        self.thing = body

    def post_event(self, resource: Resource, event: Event) -> None:
        """Record an Event."""
        assert resource.metadata.uid == "u"
        self.events.append(event)


@pytest.mark.parametrize("model", [CloudImage, ImageShare])
def test_a_fault_is_told_once_by_an_event(model: type[Resource]) -> None:
    kube = FakeKube(thing())
    tell = FaultTeller(cast("Kube", kube), model)
    for _ in range(3):
        tell(KEY, SystemExit("password=hunter2"))
    [event] = kube.events
    assert (event.type, event.reason) == ("Warning", "InternalError")
    assert "SystemExit" in event.message
    assert "hunter2" not in str(kube.written) + event.message


def test_nothing_is_told_of_an_api_server_that_is_away_nor_of_an_object_that_is_gone() -> None:
    kube = FakeKube(thing())
    tell = FaultTeller(cast("Kube", kube), CloudImage)
    tell(KEY, ApiException(status=500))
    kube.thing = None
    tell(KEY, ValueError())
    assert kube.written == []


@pytest.mark.parametrize(
    ("error", "passing"),
    [
        (ApiException(status=503), True),
        (ApiException(status=409), True),
        (ApiException(), True),
        (ReadTimeoutError(cast("Any", None), "/", "x"), True),
        (ApiException(status=422), False),
        (ApiException(status=403), False),
        (ValueError(), False),
        (SystemExit(), False),
    ],
)
def test_only_what_the_api_server_will_mend_passes(error: BaseException, passing: bool) -> None:
    assert passes(error) is passing


def test_a_name_is_a_class_and_bounded() -> None:
    assert name_of(ApiException(status=422, reason="secret")) == "ApiException, status 422"
    assert name_of(type("\x1b[2J" + "x" * 999, (Exception,), {})()).startswith("\ufffd[2Jxxx")
    assert len(name_of(type("x" * 999, (Exception,), {})())) <= 100
    assert "hunter2" not in str(without_text(ValueError("hunter2")))


def test_an_event_handler_survives_what_it_does_not_expect(
    caplog: pytest.LogCaptureFixture,
) -> None:
    errors: list[BaseException] = [ValueError("hunter2"), SystemExit(), RecursionError()]

    @surviving
    async def handler() -> None:
        raise errors[0]

    while errors:
        with caplog.at_level(logging.ERROR):
            asyncio.run(handler())
        errors.pop(0)
    assert len(caplog.records) == 3
    assert "hunter2" not in str([vars(record) for record in caplog.records])
    errors.append(asyncio.CancelledError())
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(handler())
