"""The other side of a share: the projects that get the image, with credentials of their own."""

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from cloudimage.api.imageshare import ImageShare
from cloudimage.api.reasons import Reason, ShareReason
from cloudimage.api.references import CloudCredentialsRef
from cloudimage.cloud.connection import Cloud
from cloudimage.cloud.errors import CloudError, CloudUnreachableError
from cloudimage.cloud.models import Server
from cloudimage.cloud.pool import ConnectionPool
from cloudimage.credentials import loader
from cloudimage.kube import Kube
from cloudimage.shares.logic.status import Problem

logger = logging.getLogger(__name__)


class WrongProjectError(CloudError):
    """The credentials are not those of the project that they are given for."""

    reason = ShareReason.WRONG_PROJECT


@dataclass(frozen=True)
class Consumers:
    """Acts as the projects that an image is shared with, where a share gives their credentials."""

    kube: Kube
    clouds: ConnectionPool

    @contextmanager
    def borrow(self, share: ImageShare, ref: CloudCredentialsRef) -> Iterator[Cloud]:
        """Yield the cloud as credentials of the share's namespace see it.

        Raises:
            CloudError: The credentials are missing or refused, or the cloud does not answer.
        """
        config = loader.load_other(self.kube, share.metadata.namespace, ref)
        with self.clouds.borrow(config) as cloud:
            yield cloud

    def accept(
        self,
        share: ImageShare,
        image_id: str,
        projects: Mapping[str, CloudCredentialsRef],
    ) -> Problem | None:
        """Accept the image for projects, with the credentials of each.

        Returns:
            Why it could not be accepted for the first of those for whom it could not.
        """
        problems = []
        for project_id, ref in projects.items():
            try:
                self._accept(share, image_id, project_id, ref)
            except CloudError as error:
                problems.append(Problem(reason_of(error), str(error)))
        return problems[0] if problems else None

    def _accept(
        self, share: ImageShare, image_id: str, project_id: str, ref: CloudCredentialsRef
    ) -> None:
        with self.borrow(share, ref) as cloud:
            if cloud.glance.project_id != project_id:
                raise WrongProjectError(
                    f"Cloud {ref.cloud_name} of Secret {ref.secret_name} belongs to project "
                    f"{cloud.glance.project_id}; acceptWith of project {project_id} needs "
                    "credentials of that project"
                )
            cloud.glance.set_member_status(image_id, project_id, "accepted")

    def servers(
        self, cloud: Cloud, share: ImageShare, image_id: str, projects: Collection[str]
    ) -> Mapping[str, list[Server]]:
        """Return the servers made from an image by these projects, as far as they can be seen.

        Raises:
            CloudError: Nova could not be asked; that is never the same as "none".
        """
        usage = cloud.nova.usage(image_id)
        seen = _by_project(usage.servers, projects)
        if usage.scope not in {"OwnProject", "Refused"}:
            return seen
        for each in share.spec.projects:
            if each.accept_with is not None:
                found = self._servers(share, image_id, each.accept_with)
                seen |= _by_project(found, projects)
        return seen

    def _servers(
        self, share: ImageShare, image_id: str, ref: CloudCredentialsRef
    ) -> Iterable[Server]:
        try:
            with self.borrow(share, ref) as cloud:
                return cloud.nova.usage(image_id).servers
        except CloudUnreachableError:
            raise
        except CloudError as error:
            # A consumer's lost credentials must not keep the image with it for ever.
            logger.warning("a consumer's servers are not seen", extra={"error": str(error)})
            return ()


def _by_project(servers: Iterable[Server], projects: Collection[str]) -> dict[str, list[Server]]:
    found: defaultdict[str, list[Server]] = defaultdict(list)
    for each in servers:
        if each.project_id in projects:
            found[each.project_id].append(each)
    return dict(found)


def reason_of(error: CloudError) -> Reason | ShareReason:
    """Return the reason of an error for a condition."""
    return ShareReason(error.reason) if error.reason in set(ShareReason) else Reason(error.reason)
