"""Resolves an ImageShare: its image, the cloud of that image, and the projects of its spec."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeVar

from kubernetes.client import ApiException

from cloudimage.api import imageshare
from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.imageshare import MOST_MEMBERS, ImageShare
from cloudimage.api.reasons import Reason, ShareReason
from cloudimage.cloud.config import CloudConfig
from cloudimage.cloud.connection import Cloud
from cloudimage.cloud.errors import CloudError, ForbiddenError, NotFoundError
from cloudimage.cloud.glance import Glance
from cloudimage.cloud.models import GlanceImage, Member, Project, Server
from cloudimage.controller.errors import AmbiguousError, ImageNotFoundError
from cloudimage.credentials import loader
from cloudimage.kube import Key, Kube
from cloudimage.shares.consumers import Consumers
from cloudimage.shares.logic import members as sharing
from cloudimage.shares.logic.members import WantedProject
from cloudimage.shares.logic.status import Problem

T = TypeVar("T")


class ImageNotReadyError(CloudError):
    """The CloudImage is not there, or has no image yet."""

    reason = ShareReason.IMAGE_NOT_READY


class NotShareableError(CloudError):
    """The CloudImage is not one for this namespace to share."""

    reason = ShareReason.NOT_SHAREABLE


@dataclass(frozen=True)
class Target:
    """The image to share, and how to reach its cloud.

    Attributes:
        owner: The CloudImage that it is of; None: none is.
        is_permitted: The CloudImage may be shared from the ImageShare's namespace.
    """

    config: CloudConfig
    owner: CloudImage | None
    is_permitted: bool


def find_target(kube: Kube, share: ImageShare) -> Target:
    """Return what the spec means.

    Raises:
        ImageNotReadyError: There is no CloudImage of that name.
        NotShareableError: It does not exist, or not for this namespace; which of them is not said,
            so that nobody can find out what other namespaces have.
        CloudError: The credentials are not there.
    """
    where = sharing.target(share)
    if where is None:
        return Target(loader.load(kube, share), None, is_permitted=True)
    owner, text = _owner(kube, Key(*where)), sharing.image_text(share)
    own_namespace = where[0] == share.metadata.namespace
    if owner is None and own_namespace:
        raise ImageNotReadyError(f"There is no CloudImage {text}")
    permitted = owner is not None and sharing.is_permitted(share, owner)
    if owner is None or not (permitted or share.status.projects):
        raise NotShareableError(
            f"There is no CloudImage {text}, or its spec.shareableFrom.namespaces does not list "
            f"{share.metadata.namespace}"
        )
    return Target(loader.load(kube, owner), owner, permitted)


def _owner(kube: Kube, key: Key) -> CloudImage | None:
    try:
        return kube.read(CloudImage, key)
    except ApiException as error:
        if error.status == HTTPStatus.FORBIDDEN:  # a namespace that is not watched
            return None
        raise


def shares_of(kube: Kube, image: CloudImage) -> list[ImageShare]:
    """Return the ImageShares that reach the cloud by this CloudImage's credentials."""
    return [each for each in kube.read_all(ImageShare) if sharing.refers_to(each, image)]


def find_image(glance: Glance, share: ImageShare, owner: CloudImage | None) -> GlanceImage:
    """Return the image in Glance.

    Raises:
        ImageNotReadyError: The CloudImage has none yet, or is being deleted.
        ImageNotFoundError: No image has that id or name.
        AmbiguousError: There are several of that name.
        CloudError: Glance did not say.
    """
    text = sharing.image_text(share)
    if owner is not None:
        if owner.status.image_id is None or owner.metadata.deletion_timestamp is not None:
            state = "is being deleted" if owner.metadata.deletion_timestamp else "has no image yet"
            raise ImageNotReadyError(f"CloudImage {text} {state}")
        return _of_id(glance, owner.status.image_id)
    named = share.spec.image
    if named is None or named.id is not None:
        return _of_id(glance, named.id.lower() if named and named.id else "")
    if share.status.image_id is not None:
        with suppress(ImageNotFoundError):
            return _of_id(glance, share.status.image_id)
    found = glance.search({"name": named.name or "", "owner": glance.project_id or ""}, 2)
    if not found:
        raise ImageNotFoundError(f"The credentials' project has no image named {text}")
    if len(found) > 1:
        raise AmbiguousError(f"Several images are named {text}; give the id of the one to share")
    return found[0]


def _of_id(glance: Glance, image_id: str) -> GlanceImage:
    image = glance.get(image_id)
    if image is None:
        raise ImageNotFoundError(f"These credentials cannot see an image {image_id}")
    return image


@dataclass(frozen=True, slots=True)
class Resolved:
    """The projects of a spec, by their ids, and what is wrong with those that were not found."""

    wanted: Mapping[str, WantedProject]
    problems: tuple[Problem, ...]


def resolve(cloud: Cloud, share: ImageShare, consumers: Consumers, image: GlanceImage) -> Resolved:
    """Look the projects of the spec up.

    The project that owns the image has it anyhow: it is not one of the domain's.

    Raises:
        CloudError: Keystone did not answer.
    """
    wanted: dict[str, WantedProject] = {}
    problems = []
    for entry in share.spec.projects:
        try:
            found = _projects(cloud, share, entry, consumers)
        except NotFoundError as error:
            problems.append(Problem(ShareReason.PROJECT_NOT_FOUND, str(error)))
            continue
        except ForbiddenError as error:
            said = str(error).rstrip(".")
            text = f"{said}. Give the id of every project, or credentials that may look them up"
            problems.append(Problem(Reason.FORBIDDEN, text))
            continue
        whole_domain = entry.id is None and entry.name is None
        for project in found:
            if whole_domain and project.id == image.owner:
                continue
            before = wanted.get(project.id)
            ref = entry.accept_with or (before.accept_with if before else None)
            wanted[project.id] = WantedProject(project, ref)
    if len(wanted) > MOST_MEMBERS:
        text = f"The spec selects {len(wanted)} projects; at most {MOST_MEMBERS} are allowed"
        problems.append(Problem(ShareReason.MEMBER_QUOTA_EXCEEDED, text))
    return Resolved(dict(list(wanted.items())[:MOST_MEMBERS]), tuple(problems))


def _projects(
    cloud: Cloud, share: ImageShare, entry: imageshare.Project, consumers: Consumers
) -> Iterable[Project]:
    if entry.id is not None:
        names = sharing.names_of(share, {})
        known = Project(entry.id, names[entry.id]) if entry.id in names else None
        found = known or cloud.keystone.project(entry.id)
        return (_there(found, f"Keystone has no project {entry.id}"),)
    domain = entry.domain or ""
    if entry.name is None:
        return _there(cloud.keystone.of_domain(domain), f"Keystone has no domain {domain}")
    try:
        found = cloud.keystone.find(entry.name, domain)
    except ForbiddenError:
        found = _own(share, entry, consumers)
        if found is None:
            raise
    return (_there(found, f"Keystone has no project {entry.name} in domain {domain}"),)


def _own(share: ImageShare, entry: imageshare.Project, consumers: Consumers) -> Project | None:
    """Return the project that the credentials of acceptWith are of, if it is the one meant."""
    if entry.accept_with is None:
        return None
    with consumers.borrow(share, entry.accept_with) as cloud:
        project, domain = cloud.keystone.own()
    return project if project.name == entry.name and entry.domain in domain else None


def _there(found: T | None, text: str) -> T:
    if found is None:
        raise NotFoundError(text)
    return found


def revoke(
    cloud: Cloud,
    share: ImageShare,
    consumers: Consumers,
    images: Iterable[str],
    projects: Iterable[str],
) -> sharing.UsersByProject:
    """Take images from projects that do not use them.

    Args:
        cloud: Where they are.
        share: The ImageShare.
        consumers: Credentials that also see servers of other projects.
        images: Ids of the images.
        projects: Ids of the projects.

    Returns:
        The servers for which it was not done, by their project.

    Raises:
        CloudError: A step failed; those before it are not repeated when it is retried.
    """
    leaving, staying = set(projects), dict[str, list[Server]]()
    for image_id in images if leaving else ():
        there = leaving & members_of(cloud.glance, image_id).keys()
        users = consumers.servers(cloud, share, image_id, there) if there else {}
        for project_id in sorted(there):
            servers = users.get(project_id)
            # What the image's own project has made of it needs no membership.
            if servers and project_id != cloud.glance.project_id:
                staying.setdefault(project_id, []).extend(servers)
            else:
                cloud.glance.remove_member(image_id, project_id)
    return staying


def members_of(glance: Glance, image_id: str) -> dict[str, Member]:
    """Return the members of an image by the id of their project; empty if it cannot have members.

    Raises:
        CloudError: Glance did not say.
    """
    image = glance.get(image_id)
    if image is None or image.visibility != "shared":
        return {}
    return sharing.by_project(glance.members(image_id))
