"""Carries what consumers said of an image over to the image that takes its place."""

import logging
from dataclasses import dataclass

from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.imageshare import ImageShare
from cloudimage.cloud.errors import CloudError
from cloudimage.cloud.glance import Glance
from cloudimage.images.rollout import Successor
from cloudimage.shares.consumers import Consumers
from cloudimage.shares.members import shares_of

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Acceptances:
    """Keeps a new revision in the lists of the projects that had accepted the one before it.

    What cannot be done is logged and left to the ImageShares: it must not hold up a revision.
    """

    consumers: Consumers

    def carry_over(self, resource: CloudImage, glance: Glance, new: Successor) -> None:
        """Have a new image's members say of it what they said of the one before.

        By the credentials of the CloudImage where they are an administrator's, else by those that
        ImageShares give for a project.

        Args:
            resource: The CloudImage.
            glance: As its credentials see it.
            new: The new image.
        """
        said = {each.project_id: each for each in new.members if each.status != "pending"}
        try:
            for each in list(said.values()):
                glance.set_member_status(new.image.id, each.project_id, each.status)
                del said[each.project_id]
        except CloudError as error:
            logger.info("the consumers' own credentials are needed", extra={"error": str(error)})
        accepted = {each.project_id for each in said.values() if each.status == "accepted"}
        for share in shares_of(self.consumers.kube, resource) if accepted else ():
            self._accept(share, accepted, new.image.id)

    def _accept(self, share: ImageShare, accepted: set[str], image_id: str) -> None:
        for each in share.spec.projects:
            if each.accept_with is None:
                continue
            try:
                with self.consumers.borrow(share, each.accept_with) as cloud:
                    project_id = cloud.glance.project_id
                    if project_id is not None and project_id in accepted:
                        cloud.glance.set_member_status(image_id, project_id, "accepted")
            except CloudError as error:
                logger.warning("an image is not accepted yet", extra={"error": str(error)})
