"""Which of the names that a publisher lists is the newest build; pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from cloudimage.transfer.contract import Checksum, Reason, TransferError
from cloudimage.transfer.source.http.index import versions
from cloudimage.transfer.source.http.index.patterns import Pattern
from cloudimage.transfer.source.http.index.versions import Order

VERSION: Final = "version"
"""The group that a pattern tells a version by; without it, the whole name is the version."""

NAME: Final = "name"
FOLDER: Final = "folder"


@dataclass(frozen=True)
class Build:
    """One build that a publisher has.

    Attributes:
        version: What builds are ordered by.
        values: For templates, by name.
        url: Where its file is; None: a template tells.
        checksum: Of its file, if the list has it.
    """

    version: str
    values: Mapping[str, str] = field(default_factory=dict)
    url: str | None = None
    checksum: Checksum | None = None


def matching(
    names: Iterable[str], pattern: Pattern, known: Mapping[str, str] | None = None
) -> Iterator[Build]:
    """Yield a build for each name that a pattern matches.

    Args:
        names: What is listed.
        pattern: Of the names of builds.
        known: Values that are known already, for instance by the name of the folder.
    """
    before = known or {}
    for name in dict.fromkeys(names):
        groups = pattern.match(name)
        if groups is not None:
            values = {**before, NAME: name, **groups}
            version = values.setdefault(VERSION, name)
            yield Build(version, values)


def newest(builds: Iterable[Build], order: Order) -> Build:
    """Return the build with the highest version.

    Raises:
        TransferError: ``SourceNotFound``: there is none; ``SourceAmbiguous``: several have it.
    """
    ranked = [
        (key, each) for each in builds if (key := versions.key(order, each.version)) is not None
    ]
    if not ranked:
        raise TransferError(
            Reason.SOURCE_NOT_FOUND,
            "the publisher's list has no build that the pattern of spec.source.http.index matches",
        )
    highest = max(key for key, _ in ranked)
    first, *others = [each for key, each in ranked if key == highest]
    if others:
        names = ", ".join(
            repr(each.values.get(NAME, each.version)) for each in [first, *others][:3]
        )
        raise TransferError(
            Reason.SOURCE_AMBIGUOUS,
            f"several builds have the version {first.version}: {names}. Make the pattern of "
            "spec.source.http.index narrower",
        )
    return first
