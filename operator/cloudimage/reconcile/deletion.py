"""Whether a CloudImage's Glance images may go, and who holds them."""

from collections.abc import Iterable
from dataclasses import dataclass

from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.meta import FORCE_DELETE_ANNOTATION
from cloudimage.cloud.types import GlanceImage, Server, Usage
from cloudimage.reconcile.reasons import Reason
from cloudimage.reconcile.status import SAMPLE_SIZE


@dataclass(frozen=True, slots=True)
class Blocker:
    """Why one image must stay."""

    reason: Reason
    message: str
    usage: Usage | None = None


def needs_no_cloud(resource: CloudImage) -> bool:
    """Tell whether the object may go without a look at the cloud.

    The digest is written before the first transfer starts: without it nothing was ever made.
    """
    forced = resource.metadata.annotations.get(FORCE_DELETE_ANNOTATION) == "true"
    return forced or resource.status.digest is None


def blocker(resource: CloudImage, image: GlanceImage, usage: Usage) -> Blocker | None:
    """Return why the image must not be deleted, if anything holds it."""
    if usage.servers:
        return Blocker(Reason.IN_USE, _in_use(image, usage), usage)
    if image.protected and resource.spec.image.protected is not False:
        advice = "set spec.image.protected to false to let it go"
        return Blocker(Reason.PROTECTED, f"Image {image.id} is protected: {advice}.", usage)
    return None


def _in_use(image: GlanceImage, usage: Usage) -> str:
    total = len(usage.servers)
    named = _named(usage.servers[:SAMPLE_SIZE])
    more = f" and {total - SAMPLE_SIZE} more" if total > SAMPLE_SIZE else ""
    sight = {
        "AllProjects": "the credentials see the servers of all projects",
        "OwnProject": "the credentials see only their own project's servers",
        "NoCompute": "the cloud has no compute service",
    }[usage.scope]
    servers = "server uses" if total == 1 else "servers use"
    return f"{total} {servers} image {image.id}: {named}{more}; {sight}."


def _named(servers: Iterable[Server]) -> str:
    return ", ".join(f"{each.name} ({each.id}, project {each.project_id})" for each in servers)
