"""Finds images without a CloudImage, reports them, and deletes unfinished ones if configured to."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.references import CloudCredentialsRef
from cloudimage.cloud.config import CloudConfig
from cloudimage.cloud.connection import Cloud
from cloudimage.cloud.errors import CloudError
from cloudimage.cloud.models import GlanceImage
from cloudimage.cloud.pool import ConnectionPool
from cloudimage.credentials import loader
from cloudimage.images import snapshots
from cloudimage.images.logic.orphans import (
    is_finished,
    is_temporary,
    may_be_deleted,
    orphans,
)
from cloudimage.images.places import Place
from cloudimage.images.watching import CloudWatcher
from cloudimage.kube import Kube
from cloudimage.settings import Settings
from cloudimage.transfer.contract import SECRET_MARK
from cloudimage.vocabulary.marks import Marks

logger = logging.getLogger(__name__)

STATES: Final = ("unfinished", "finished")


@dataclass
class OrphanSweeper:
    """Looks at one place each time it is called, as long as a CloudImage is there.

    Its images are known by the UID of the Secret: see :mod:`cloudimage.images.logic.orphans`. They
    are listed only where the view of the place does not show all of them to have a CloudImage.

    Attributes:
        left: Called with a place that no longer has a CloudImage.
    """

    kube: Kube
    clouds: ConnectionPool
    settings: Settings
    watcher: CloudWatcher
    left: Callable[[Place], None]
    _found: dict[Place, tuple[GlanceImage, ...]] = field(default_factory=dict)

    def __call__(self, place: Place) -> float | None:
        """Look, and return the seconds after which to look again; None: nothing is left there."""
        try:
            return self._look(place)
        except CloudError as error:
            # The CloudImages of the place say it; this is no reason of its own.
            logger.debug("not looked for orphans: %s", error, extra=place._asdict())
            return self.settings.unwatched_seconds

    def numbers(self) -> dict[str, float]:
        """Return how many there are by their state, as of the last look at each place."""
        counted = Counter(
            STATES[is_finished(image)] for images in list(self._found.values()) for image in images
        )
        return {state: float(counted[state]) for state in STATES}

    def _look(self, place: Place) -> float | None:
        ref = CloudCredentialsRef(secret_name=place.secret, cloud_name=place.cloud)
        if self.watcher.index.is_empty(place):
            self._found.pop(place, None)
            self.left(place)
            return None
        if not self.watcher.may_have_orphans(place, self.settings.unwatched_seconds):
            self._found.pop(place, None)
            return self.settings.unwatched_seconds
        config = loader.load_other(self.kube, place.namespace, ref)
        if config.origin is None:
            return None
        uid = config.origin.secret_uid
        with self.clouds.borrow(config) as cloud:
            images = cloud.glance.find(SECRET_MARK, uid)
            # After the images: the CloudImage of each of them was there when it was made.
            living = {resource.metadata.uid for resource in self._living(place)}
            found = orphans(images, uid, living)
            self._report(place, found)
            self._found[place] = self._kept(place, cloud, config, found)
        return self.settings.unwatched_seconds

    def _living(self, place: Place) -> list[CloudImage]:
        return self.kube.read_all(CloudImage, (place.namespace,))

    def _report(self, place: Place, found: Iterable[GlanceImage]) -> None:
        known = {image.id for image in self._found.get(place, ())}
        for image in found:
            if image.id not in known:
                details = {
                    "image": image.id,
                    "image_name": image.name,
                    "status": image.status,
                    "uid": image.properties[Marks.UID],
                }
                logger.warning("an image without a CloudImage", extra=details | place._asdict())

    def _kept(
        self, place: Place, cloud: Cloud, config: CloudConfig, found: tuple[GlanceImage, ...]
    ) -> tuple[GlanceImage, ...]:
        """Delete what may be deleted; return the others."""
        if not self.settings.delete_orphans:
            return found
        now, age = datetime.now(UTC), timedelta(seconds=2 * self.settings.unwatched_seconds)
        gone = [image for image in found if may_be_deleted(image, now, age)]
        for image in gone:
            if is_temporary(image):
                # With the volumes that it was made of.
                snapshots.clear_named(config, self.settings.cloud_policy, image.name or "")
            else:
                cloud.glance.delete(image.id)
            logger.warning(
                "an unfinished image without a CloudImage is deleted",
                extra={"image": image.id} | place._asdict(),
            )
        return tuple(image for image in found if image not in gone)
