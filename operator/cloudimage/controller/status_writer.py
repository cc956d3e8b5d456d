"""Writes a status when it changed, with an Event for each transition."""

import logging
from dataclasses import dataclass

from kubernetes.client import ApiException

from cloudimage.api.kinds import kind_of
from cloudimage.api.meta import Event, Resource, ResourceStatus, plain_model
from cloudimage.controller.logic.events import of_transitions
from cloudimage.kube import Kube, R

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class StatusWriter:
    """Writes a new status and posts the Events that follow from it."""

    kube: Kube

    def write(self, resource: R, new: ResourceStatus) -> R:
        """Write the status unless it is what stands there; return the object as it is then.

        Names of servers and projects, and whatever else a cloud says, are made plain.

        Raises:
            StaleError: The object changed since it was read.
        """
        new = plain_model(new)
        if new.to_json() == resource.status.to_json():
            return resource
        written = self.kube.write_status(resource, new)
        for event in of_transitions(resource.status.conditions, new.conditions):
            self.record_event(resource, event)
        return written

    def record_event(self, resource: Resource, event: Event) -> None:
        """Post an Event; one that cannot be posted is logged, for the work itself is done."""
        logger.info(event.message, extra={"reason": event.reason, **_names(resource)})
        try:
            self.kube.post_event(resource, event)
        except ApiException as error:
            logger.warning("an Event was lost", extra={"error": str(error), **_names(resource)})


def _names(resource: Resource) -> dict[str, str]:
    kind = kind_of(type(resource)).singular
    return {"namespace": resource.metadata.namespace, kind: resource.metadata.name}
