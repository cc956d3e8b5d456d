"""What is known of the build that an image was made from; pure."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date
from typing import Final

from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.image import VARIABLES
from cloudimage.api.status import CloudImageStatus, SourceStatus
from cloudimage.cloud.models import GlanceImage
from cloudimage.plaintext import plain
from cloudimage.sources.base import SpecSource
from cloudimage.sources.registry import source_of

_DATE: Final = re.compile(r"(?<![0-9])(20[0-9]{2})([-.]?)([01][0-9])\2([0-3][0-9])(?![0-9])")
"""A day in a version, such as those of 20240114, 2024-01-14, 40.20240114.1 and v20240114-1633."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of the build of an image.

    Attributes:
        version: What its publisher or its store calls it.
        built: The day of the build, in UTC: the one in its version, else when its server says
            that the file was last changed.
        checksum: Of the source file, as algorithm:value.
    """

    version: str | None = None
    built: date | None = None
    checksum: str | None = None

    @property
    def values(self) -> dict[str, str]:
        """The variables of templates whose values are known, by name."""
        built = None if self.built is None else self.built.isoformat()
        given = (self.version, built, self.checksum)
        pairs = zip(VARIABLES, given, strict=True)
        return {name: plain(value) for name, value in pairs if value is not None}


def date_in(version: str) -> date | None:
    """Return the day that a version has in it; None: it has none, or several, or is a checksum."""
    if ":" in version:
        return None
    found = {_day(match) for match in _DATE.finditer(version)} - {None}
    return found.pop() if len(found) == 1 else None


def _day(match: re.Match[str]) -> date | None:
    try:
        return date(int(match[1]), int(match[3]), int(match[4]))
    except ValueError:
        return None


def of_image(resource: CloudImage, image: GlanceImage) -> Facts:
    """Return what is known of the build that an image was made from.

    Only the status remembers it: of an earlier image, its entry among the revisions.
    """
    status = resource.status
    revision = next((each for each in status.revisions if each.image_id == image.id), None)
    if revision is not None and (revision.version or revision.source_checksum):
        dates = (date_in(revision.version or ""), revision.built and _iso(revision.built))
        return Facts(revision.version, _past(dates, image), revision.source_checksum)
    return of_source(status, source_of(resource.spec) if resource.spec.source else None, image)


def of_source(status: CloudImageStatus, source: SpecSource | None, image: GlanceImage) -> Facts:
    """Return what is known of the build that the status' source is.

    Args:
        status: Of the CloudImage.
        source: Of its spec.
        image: The image that was made of it.
    """
    if source is None:
        return Facts()
    resolved, told = status.resolved_source, status.source or SourceStatus()
    if resolved and resolved.selector not in {source.selector(), source.followed()}:
        resolved = None
    # What a transfer found is lost with an operator that is killed; what was asked is not.
    version = resolved.version if resolved else told.version
    checksum = (resolved.checksum if resolved else None) or _checksum(told)
    modified = told.last_modified
    dates = (date_in(version or ""), modified and modified.astimezone(UTC).date())
    return Facts(version, _past(dates, image), checksum)


def _iso(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _past(dates: Iterable[date | str | None], image: GlanceImage) -> date | None:
    """Return the first day that is not after the image: nothing is made of what is yet to come."""
    until = image.created_at.astimezone(UTC).date()
    return next((each for each in dates if isinstance(each, date) and each <= until), None)


def _checksum(source: SourceStatus) -> str | None:
    """Return the checksum by which a source is known again, as algorithm:value."""
    known = source.checksums or {}
    algorithm = "sha256" if "sha256" in known else next(iter(sorted(known)), None)
    return algorithm and f"{algorithm}:{known[algorithm]}"
