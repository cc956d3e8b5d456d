"""Has the operator ask the cloud again who uses an image, before the number is shown."""

import time
from datetime import UTC, datetime
from typing import Any, Final

from kubernetes.client import ApiException
from urllib3.exceptions import HTTPError

from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.kinds import CLOUD_IMAGE
from cloudimage.api.names import RETRY_ANNOTATION
from cloudimage.api.reasons import ConditionType
from cloudimage.cli.arguments import Target
from cloudimage.cli.kube_client import Cluster
from cloudimage.cli.state import State, state_of
from cloudimage.controller.logic.conditions import is_true

SECONDS: Final = 5.0
"""How long the answer is waited for; a look takes some tenths of a second."""

_FRESH_SECONDS: Final = 10.0


def refreshed(cluster: Cluster, thing: dict[str, Any]) -> dict[str, Any]:
    """Return an object after the operator compared it with the cloud again; else as it was.

    Only a CloudImage that is Ready is compared: of others that may begin a transfer.

    Args:
        cluster: Where it is.
        thing: The object, as it was read.
    """
    now = datetime.now(UTC)
    is_image = thing["kind"] == CLOUD_IMAGE.name
    if not is_image or not _is_worth_it(CloudImage.model_validate(thing), now):
        return thing
    target, value = Target(CLOUD_IMAGE, thing["metadata"]["name"]), now.isoformat()
    try:
        cluster.annotate(target, {RETRY_ANNOTATION: value})
        key = (thing["metadata"]["namespace"], thing["metadata"]["name"])
        for objects in cluster.changes(target.kind, target.name, time.monotonic() + SECONDS):
            if key not in objects:
                return thing
            if _is_answered(CloudImage.model_validate(objects[key]), value):
                return {**objects[key], "kind": thing["kind"], "apiVersion": thing["apiVersion"]}
    except (ApiException, HTTPError):  # the right is missing, most often
        return thing
    return thing


def _is_worth_it(resource: CloudImage, now: datetime) -> bool:
    used = resource.status.used_by
    if used is None or state_of(resource) is not State.READY:
        return False
    checked = used.last_check_time
    return checked is None or (now - checked).total_seconds() > _FRESH_SECONDS


def _is_answered(resource: CloudImage, value: str) -> bool:
    status = resource.status
    return status.last_handled_retry == value and not is_true(
        status.conditions, ConditionType.RECONCILING
    )
