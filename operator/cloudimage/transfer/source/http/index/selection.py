"""Which of the names that a publisher lists is the newest build; pure."""

import operator
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from cloudimage.transfer.contract import Checksum, Reason, TransferError
from cloudimage.transfer.source.http.index import versions
from cloudimage.transfer.source.http.index.patterns import Pattern
from cloudimage.transfer.source.http.index.versions import Order

VERSION: Final = "version"
"""The group that a pattern tells a version by; without it, the whole name is the version."""

BUILD: Final = "build"
"""The group of a further number, which tells builds of one version apart."""

NAME: Final = "name"
FOLDER: Final = "folder"
TAG: Final = "tag"
"""Values that each build has, each that was in a folder, and each of a release."""


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
            version = values.get(VERSION, name)
            if BUILD in groups:
                version = f"{version}-{groups[BUILD]}"
            yield Build(version, {**values, VERSION: version})


def ranked(builds: Iterable[Build], order: Order) -> list[Build]:
    """Return the builds that have a place in the order, the newest first."""
    keyed = [(key, each) for each in builds if (key := versions.key(order, each.version))]
    return [each for _, each in sorted(keyed, key=operator.itemgetter(0), reverse=True)]


def newest(builds: Iterable[Build], order: Order) -> Build:
    """Return the build with the highest version.

    Raises:
        TransferError: ``SourceNotFound``: nothing matches; ``SourceAmbiguous``: several have it.
    """
    found = ranked(builds, order)
    if not found:
        raise TransferError(
            Reason.SOURCE_NOT_FOUND,
            "the publisher's list has no build that spec.source.http.index matches",
        )
    first = found[0]
    highest = versions.key(order, first.version)
    others = [each for each in found[1:] if versions.key(order, each.version) == highest]
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
