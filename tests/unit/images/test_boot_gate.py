"""What a look at a boot test begins, and what it writes on the image."""

from datetime import datetime
from typing import Any
from unittest.mock import MagicMock

import pytest

from cloudimage.controller.reconciler import now
from cloudimage.images import boot_look
from cloudimage.images.boot_look import Trial
from cloudimage.images.keeping import Kept
from cloudimage.images.logic import boot_test
from cloudimage.images.logic.boot_test_status import Gate
from cloudimage.images.logic.boot_verdict import Login
from cloudimage.images.logic.desired import Desired
from cloudimage.images.reconciler import CloudImageReconciler
from cloudimage.vocabulary.marks import Marks
from support.boot_states import server, state_of, untested, wanted_of, with_test
from support.image_status import after, states
from support.resources import NOW


def looked(
    resource: Any,
    image: Any,
    cloud: Any,
    lacks: str = "",
    *,
    read: datetime | None = None,
) -> Trial:
    """Return what a look comes to whose status is written nowhere."""
    tests = MagicMock()
    tests.logins.view.return_value = (Login.NOT_BEGUN, "")
    tests.console_read.return_value = read
    tests.clear.side_effect = lambda _resource, _cloud, state: (state, None)
    tests.status.write.side_effect = after
    gate = Gate(Desired.of(resource.spec), image, None, lacks)
    return boot_look.look(tests, resource, cloud, image, gate)


def test_no_server_is_made_of_an_image_without_its_kernel() -> None:
    resource, cloud = with_test(), MagicMock()
    cloud.boot_servers.find.return_value = ()
    cloud.boot_servers.create.return_value = "server"
    trial = looked(resource, untested(resource), cloud, "CloudImage kernel is not Ready.")
    assert (trial.held, trial.seconds) == (True, boot_look.LACKING_SECONDS)
    assert not cloud.boot_servers.mock_calls
    assert states(trial.resource.status)["Booted"] == ("Unknown", "ReferenceNotReady")
    assert trial.resource.status.boot_test is None
    begun = looked(resource, untested(resource), cloud)
    assert begun.resource.status.boot_test is not None
    assert begun.resource.status.boot_test.server_id == "server"


def test_a_verdict_takes_the_mark_of_an_earlier_success_away() -> None:
    resource, cloud = with_test(every="30d"), MagicMock()
    plain = untested(resource)
    digest = boot_test.digest_of(wanted_of(resource), plain)
    image = untested(resource, properties={Marks.BOOTED: boot_test.booted_mark(digest, NOW)})
    state = state_of(resource, image, serverID="server", activeSeconds=1)
    status = {"imageID": image.id, "bootTest": state}
    cloud.boot_servers.find.return_value = (server(resource, image),)
    cloud.boot_servers.console.return_value = "panic"
    cloud.glance.patch.return_value = plain
    trial = looked(with_test(status, every="30d"), image, cloud)
    told = trial.resource.status.boot_test
    assert told is not None
    assert (told.result, told.reason) == ("Failed", "BuildFailed"), "it was not read in time"
    assert not cloud.glance.mock_calls
    seen = now()
    trial = looked(with_test(status, every="30d"), image, cloud, read=seen)
    told = trial.resource.status.boot_test
    assert told is not None
    assert (told.result, told.reason) == ("Failed", "Timeout")
    [call] = cloud.glance.patch.mock_calls
    assert call.args == (image.id, ({"op": "remove", "path": f"/{Marks.BOOTED}"},))


@pytest.mark.parametrize(("due", "seconds"), [(None, 1800), (60.0, 60), (10**6, 1800)])
def test_an_image_that_waits_for_a_person_is_looked_at_all_the_same(
    due: float | None, seconds: float
) -> None:
    """The image that serves meanwhile may be deleted."""
    resource, reconciler = with_test(), MagicMock()
    reconciler.following.until_due.return_value = due
    reconciler.settings.unwatched_seconds = 1800
    kept = Kept(resource, held=True, seconds=None)
    assert CloudImageReconciler._kept(reconciler, kept, Desired.of(resource.spec)) == seconds
