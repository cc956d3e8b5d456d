"""Where ImageShares are, whose cloud they ask in turns, and which image each of them knows."""

from collections.abc import Callable
from dataclasses import dataclass, field

from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.imageshare import ImageShare
from cloudimage.kube import Key
from cloudimage.shares.logic import members

Place = tuple[str, str, str]
"""Namespace and Secret with the credentials, and the cloud's name there."""


@dataclass
class SharePlaces:
    """ImageShares as the watch of the Kubernetes API has shown them.

    The event loop writes it, any thread reads it.

    Attributes:
        of_image: Returns where a CloudImage is, and so the shares of it; None: that is not known.
    """

    of_image: Callable[[Key], Place | None]
    _places: dict[Key, Key | Place] = field(default_factory=dict)
    _known: dict[Key, str] = field(default_factory=dict)

    def update(self, key: Key, share: ImageShare | None) -> None:
        """Record an object; None: it is gone, or not understood."""
        self._places.pop(key, None)
        self._known.pop(key, None)
        if share is None:
            return
        if share.status.image_id is not None:
            self._known[key] = share.status.image_id
        if target := members.target(share):
            self._places[key] = Key(*target)
        elif share.spec.image is not None:
            ref = share.spec.image.cloud_credentials_ref
            self._places[key] = (key.namespace, ref.secret_name, ref.cloud_name)

    def is_up_to_date(self, key: Key, image: CloudImage) -> bool:
        """Return whether a share knows its CloudImage as it is, which is settled."""
        settled = image.status.observed_generation == image.metadata.generation
        stays = image.metadata.deletion_timestamp is None
        known = self._known.get(key)
        return settled and stays and known is not None and known == image.status.image_id

    def beside(self, key: Key) -> int:
        """Return how many ImageShares are at the place of one, itself included."""
        mine = self._where(self._places.get(key))
        # A copy at one go: another thread changes the mapping.
        return sum(self._where(each) == mine for each in list(self._places.values()))

    def _where(self, found: Key | Place | None) -> Place | None:
        return self.of_image(found) if isinstance(found, Key) else found
