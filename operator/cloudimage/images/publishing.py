"""Keeps the id of the current image in a ConfigMap, for consumers; see spec.publish.

Who owns a key is told by server-side apply: each CloudImage is a field manager of its own, and
nothing is forced, so that the API server refuses a key that somebody else has set
(https://kubernetes.io/docs/reference/using-api/server-side-apply/).
"""

import json
import logging
from datetime import datetime
from http import HTTPStatus
from typing import Final

from kubernetes.client import ApiException

from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.meta import Event
from cloudimage.api.publish import PublishedStatus
from cloudimage.api.reasons import ConditionType, Reason
from cloudimage.api.status import CloudImageStatus
from cloudimage.cloud.models import GlanceImage
from cloudimage.controller.logic.conditions import Draft, amended
from cloudimage.controller.status_writer import StatusWriter
from cloudimage.images.logic import facts
from cloudimage.kube import Kube

logger = logging.getLogger(__name__)

_REASONS: Final = {
    HTTPStatus.CONFLICT: Reason.CONFIG_MAP_CONFLICT,
    HTTPStatus.FORBIDDEN: Reason.CONFIG_MAP_FORBIDDEN,
}
_ADVICE: Final = {
    Reason.CONFIG_MAP_CONFLICT: "It is not overwritten: choose another key, or remove that one.",
    Reason.CONFIG_MAP_FORBIDDEN: "Set the chart's value publish.enabled.",
    Reason.CONFIG_MAP_REFUSED: "Correct the ConfigMap, or name another one in spec.publish.",
}


def keep(
    status: StatusWriter, resource: CloudImage, image: GlanceImage, now: datetime
) -> CloudImage:
    """Bring what is published of a CloudImage in line with its spec and its image.

    Args:
        status: Writes the status, by the client that writes the ConfigMap too.
        resource: The CloudImage.
        image: Its current image.
        now: The present.

    Raises:
        ApiException: The API server has failed.
        StaleError: The object changed since it was read.
    """
    wanted = resource.spec.publish.config_map if resource.spec.publish else None
    there = resource.status.published
    if there is not None and (wanted is None or wanted.name != there.config_map):
        withdraw(status, resource)
        resource = status.write(resource, _unpublished(resource.status))
    if wanted is None:
        return status.write(resource, _unpublished(resource.status))
    if image.status != "active":
        return resource
    named = PublishedStatus(config_map=wanted.name)
    resource = status.write(resource, resource.status.model_copy(update={"published": named}))
    version = facts.of_image(resource, image).values.get("version")
    given = {wanted.key: image.id, wanted.version_key: version}
    data = {key: value for key, value in given.items() if key and value}
    draft = _written(status.kube, resource, wanted.name, data)
    generation = resource.metadata.generation
    conditions = amended(resource.status.conditions, [draft], generation, now)
    return status.write(resource, resource.status.model_copy(update={"conditions": conditions}))


def _unpublished(status: CloudImageStatus) -> CloudImageStatus:
    others = tuple(each for each in status.conditions if each.type != ConditionType.PUBLISHED)
    return status.model_copy(update={"published": None, "conditions": others})


def _written(kube: Kube, resource: CloudImage, name: str, data: dict[str, str]) -> Draft:
    try:
        kube.apply_config_map(resource.metadata.namespace, name, data, _manager(resource))
    except ApiException as error:
        if error.status is None or error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise
        reason = _REASONS.get(error.status, Reason.CONFIG_MAP_REFUSED)
        message = f"ConfigMap {name}: {_said(error)}. {_ADVICE[reason]}"
        return Draft(ConditionType.PUBLISHED, "False", reason, message)
    keys = ", ".join(sorted(data))
    message = f"ConfigMap {name} has the current image in {keys}."
    return Draft(ConditionType.PUBLISHED, "True", Reason.CONFIG_MAP_WRITTEN, message)


def withdraw(status: StatusWriter, resource: CloudImage) -> None:
    """Remove what was published of a CloudImage; a ConfigMap that has nothing else goes too.

    A ConfigMap that may not be written is left, and an Event says so: it must not keep a
    CloudImage from being deleted.

    Raises:
        ApiException: The API server has failed.
    """
    there, namespace = resource.status.published, resource.metadata.namespace
    if there is None:
        return
    try:
        status.kube.withdraw_config_map(namespace, there.config_map, _manager(resource))
    except ApiException as error:
        if error.status is None or error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise
        reason = _REASONS.get(error.status, Reason.CONFIG_MAP_REFUSED)
        message = f"ConfigMap {there.config_map} keeps what was published: {_said(error)}."
        status.record_event(resource, Event("Warning", reason, message))


def _manager(resource: CloudImage) -> str:
    """Return the field manager that a CloudImage is: not even a later one of its name is it."""
    return f"cloudimage-{resource.metadata.uid}"


def _said(error: ApiException) -> str:
    """Return what the API server says, in one line."""
    try:
        said = json.loads(error.body or "")["message"]
    except (ValueError, KeyError, TypeError):
        said = error.reason
    return " ".join(str(said).split()).rstrip(".")
