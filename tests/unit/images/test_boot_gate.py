"""What a look at a boot test begins, and what it writes on the image."""

from typing import Any
from unittest.mock import MagicMock

from cloudimage.images import boot_look
from cloudimage.images.boot_look import Trial
from cloudimage.images.logic.boot_test_status import Gate
from cloudimage.images.logic.desired import Desired
from support.boot_states import untested, with_test
from support.image_status import after, states


def looked(resource: Any, image: Any, cloud: Any, lacks: str = "") -> Trial:
    """Return what a look comes to whose status is written nowhere."""
    tests = MagicMock()
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
