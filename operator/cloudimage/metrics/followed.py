"""How old the images are that follow their sources, from what the watches have shown."""

import threading
from collections.abc import Hashable, Iterator
from datetime import datetime

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector


class FollowedImages(Collector):
    """Remembers when what is served was made; safe to share."""

    def __init__(self) -> None:
        self._made: dict[Hashable, float] = {}
        self._lock = threading.Lock()

    def update(self, key: Hashable, made: datetime | None) -> None:
        """Record an object as it is now.

        Args:
            key: Which CloudImage it is.
            made: When Glance made the image that it serves; None: it follows nothing, serves
                nothing, or is gone.
        """
        with self._lock:
            if made is None:
                self._made.pop(key, None)
            else:
                self._made[key] = made.timestamp()

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Yield the metrics without numbers."""
        yield GaugeMetricFamily(
            "cloudimage_followed_images", "CloudImages that serve an image and follow their source."
        )
        yield GaugeMetricFamily(
            "cloudimage_followed_image_oldest_timestamp_seconds",
            "When the oldest of these images was made, in seconds since 1970; the age of a version "
            "that is served.",
        )

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the metrics with the numbers of now."""
        with self._lock:
            made = list(self._made.values())
        count, oldest = self.describe()
        count.add_metric([], len(made))
        if made:
            oldest.add_metric([], min(made))
        yield from (count, oldest)
