"""Where an image comes from and how long it lasts, in the words of public standards; pure.

The rules are those of SCS-0102 version 2 ("SCS Image Metadata") and SCS-0104 version 2 ("SCS
Standard Images") of Sovereign Cloud Stack, https://docs.scs.community/standards/.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final
from urllib.parse import urlsplit

from cloudimage.api.cloudimage import CloudImage, CloudImageSpec
from cloudimage.api.follow import Follow, FollowPolicy
from cloudimage.api.reasons import ConditionType, Reason
from cloudimage.controller.logic.conditions import Draft
from cloudimage.durations import parse_duration
from cloudimage.images.logic import follow_schedule
from cloudimage.images.logic.desired import Desired
from cloudimage.images.logic.facts import Facts
from cloudimage.vocabulary import portable

_PURPOSES: Final = ("generic", "oldgeneric", "minimal", "k8snode", "gpu", "network", "custom")
_ARCHITECTURES: Final = ("x86_64", "aarch64", "risc-v")
_DATE: Final = "[0-9]{4}-[0-9]{2}-[0-9]{2}"

_FREQUENCIES: Final = {
    "daily": timedelta(days=1),
    "weekly": timedelta(days=7),
    "monthly": timedelta(days=31),
    "quarterly": timedelta(days=92),
    "yearly": timedelta(days=366),
}
_FORMS: Final = {
    "replace_frequency": ("|".join((*_FREQUENCIES, "critical_bug", "never")), "a frequency"),
    "uuid_validity": (f"none|notice|forever|last-[0-9]+|{_DATE}", "none, notice, last-N, a day"),
    "provided_until": (f"none|notice|{_DATE}", "none, notice or a day as YYYY-MM-DD"),
    "image_build_date": (
        f"{_DATE}( [0-9]{{2}}:[0-9]{{2}}(:[0-9]{{2}})?)?",
        "a day as YYYY-MM-DD, perhaps with hh:mm",
    ),
    "image_source": ("private|(https?|ftps?)://.+", "a URL or private"),
    "hotfix_hours": ("[0-9]+", "a number of hours"),
    "os_purpose": ("|".join(_PURPOSES), " or ".join(_PURPOSES)),
    "architecture": ("|".join(_ARCHITECTURES), " or ".join(_ARCHITECTURES)),
}
"""What values must be like: a pattern and its words (SCS-0102)."""

_MANDATORY: Final = (
    *("architecture", "os_distro", "os_version", "os_purpose", "image_source"),
    *("image_description", "image_build_date", "image_original_user"),
    *("replace_frequency", "uuid_validity", "provided_until"),
)
"""Properties that an image must have (SCS-0102)."""

_PLACES: Final = {
    "ubuntu": ("cloud-images.ubuntu.com/releases/", "cloud-images.ubuntu.com/"),
    "debian": ("cloud.debian.org/images/cloud/", "cdimage.debian.org/cdimage/cloud/"),
}
"""Where SCS-0104 demands the images of a distribution to come from; a code name follows."""

_VERSIONS: Final = {
    "ubuntu": {"focal": "20.04", "jammy": "22.04", "noble": "24.04"},
    "debian": {"buster": "10", "bullseye": "11", "bookworm": "12", "trixie": "13"},
}
"""Versions by the code names that SCS-0104's tests have."""

NAMES: Final = frozenset(
    {
        *("image_source", "image_build_date", "os_distro", "os_version"),
        *("replace_frequency", "uuid_validity", "provided_until", "hotfix_hours"),
    }
)
"""Properties that are filled in where they are known."""

_MOST_GAPS: Final = 64


def applied(resource: CloudImage, known: Facts) -> CloudImage:
    """Return the CloudImage as if its spec had what is known of its image's provenance.

    Args:
        resource: The CloudImage.
        known: What is known of its image's build.
    """
    if resource.spec.provenance is None:
        return resource
    image, given = resource.spec.image, resource.spec.image.properties or {}
    new = {name: value for name, value in told(resource, known).items() if name not in given}
    room = dict(sorted(new.items())[: max(0, portable.MOST - len(given))])
    update = {"image": image.model_copy(update={"properties": {**given, **room} or None})}
    return resource.model_copy(update={"spec": resource.spec.model_copy(update=update)})


def told(resource: CloudImage, known: Facts) -> dict[str, str]:
    """Return the properties that the spec and the build tell.

    Args:
        resource: The CloudImage.
        known: What is known of its image's build.
    """
    spec, found = resource.spec, dict[str, str]()
    source = _source(resource)
    if source is not None:
        found["image_source"] = source
        found |= _system(source)
    if known.built is not None:
        found["image_build_date"] = known.built.isoformat()
    frequency = _frequency(resource)
    if frequency is not None:
        found["replace_frequency"] = frequency
    limit = spec.retention.keep if spec.retention else spec.revision_history_limit
    # Without more in the spec, no promise is made.
    # The current image is one of the N.
    found["uuid_validity"] = f"last-{limit + 1}" if limit else "none"
    found["provided_until"] = "none"
    if _is_applied(resource):
        found["hotfix_hours"] = "0"  # best effort
    return found


def _source(resource: CloudImage) -> str | None:
    """Return the URL of the source, or private; None: the spec does not say it."""
    given = resource.spec.source
    if given is None:
        return None
    if given.http is None:
        return None if given.oci or given.s3 or given.swift else "private"
    if given.http.auth is not None:
        return "private"
    source = Desired.of(resource.spec, resource.status.resolved_source).source
    return (source.location() or None) if source else None


def _system(source: str) -> dict[str, str]:
    """Return the distribution and its version, where the URL is one of SCS-0104's."""
    parts = urlsplit(source)
    place = f"{parts.hostname}{parts.path}"
    for distro, prefixes in _PLACES.items():
        for prefix in prefixes:
            code_name = place.removeprefix(prefix).partition("/")[0]
            if place.startswith(prefix) and code_name in _VERSIONS[distro]:
                return {"os_distro": distro, "os_version": _VERSIONS[distro][code_name]}
    return {}


def _is_applied(resource: CloudImage) -> bool:
    """Return whether new builds of the source are applied without a person."""
    follow = resource.spec.follow
    if follow is None or follow.suspend or follow.policy is not FollowPolicy.APPLY:
        return False
    source = Desired.of(resource.spec).source
    return source is not None and not source.why_fixed()


def _frequency(resource: CloudImage) -> str | None:
    """Return how often the image is replaced; None: a person decides."""
    follow = resource.spec.follow
    if follow is None:
        return "never"
    if not _is_applied(resource):
        return None
    longest = _longest_wait(follow)
    fitting = (name for name, period in _FREQUENCIES.items() if longest and longest <= period)
    return next(fitting, None)


def _longest_wait(follow: Follow) -> timedelta | None:
    """Return how long a new build waits for being served at most; None: its schedule is wrong."""
    if follow_schedule.problem(follow) is not None:
        return None
    age = parse_duration(follow.minimum_age) if follow.minimum_age else timedelta()
    window = _longest_gap(follow, follow.window.schedule) if follow.window else timedelta()
    asked = parse_duration(follow.every) if follow.every else timedelta()
    if follow.schedule:
        asked = _longest_gap(follow, follow.schedule)
    # The standard allows some days more; a window within the time between two checks costs none.
    return max(asked, window) + age


def _longest_gap(follow: Follow, schedule: str) -> timedelta:
    """Return the longest time between two moments of a schedule."""
    given = follow.model_copy(update={"every": None, "schedule": schedule})
    moments = [datetime(2026, 1, 1, tzinfo=UTC)]
    for _ in range(_MOST_GAPS):
        moments.append(follow_schedule.next_check(given, moments[-1], 0.0))
    return max(late - early for early, late in pairwise(moments[1:]))


def draft(resource: CloudImage) -> Draft | None:
    """Return the condition ProvenanceComplete; None: the spec asks for no provenance.

    Args:
        resource: The CloudImage, as its spec is applied.
    """
    if resource.spec.provenance is None:
        return None
    missing = [*_missing(resource.spec), *_wrong(resource.spec.image.properties or {})]
    if not missing:
        message = "The image has all that SCS-0102 demands, as far as it is seen here."
        return Draft(ConditionType.PROVENANCE_COMPLETE, "True", Reason.PROVENANCE_TOLD, message)
    message = f"SCS-0102 also demands what cannot be known here: {'; '.join(missing)}."
    return Draft(ConditionType.PROVENANCE_COMPLETE, "False", Reason.PROVENANCE_INCOMPLETE, message)


def _missing(spec: CloudImageSpec) -> Iterator[str]:
    given = spec.image.properties or {}
    for name in _MANDATORY:
        if not given.get(name):
            yield f"spec.image.properties.{name} must be given"
    if not spec.image.min_disk_gib:
        yield "spec.image.minDiskGiB must be given"
    if not spec.image.min_ram_mib:
        yield "spec.image.minRamMiB must be given"


def _wrong(given: Mapping[str, str]) -> Iterator[str]:
    for name, (pattern, words) in _FORMS.items():
        if given.get(name) and re.fullmatch(pattern, given[name]) is None:
            yield f'{name} is "{given[name][:100]}", but must be {words}'
    yield from _of_another_publisher(given)


def _of_another_publisher(given: Mapping[str, str]) -> Iterator[str]:
    """Yield what SCS-0104 says against the source of a general purpose image."""
    distro, version = given.get("os_distro", ""), given.get("os_version", "")
    source = given.get("image_source", "")
    if given.get("os_purpose") != "generic" or distro not in _PLACES or not source:
        return
    code_names = {number: name for name, number in _VERSIONS[distro].items()}
    code_name = code_names.get(version, "[a-z]+")
    places = "|".join(re.escape(each) for each in _PLACES[distro])
    if re.match(f"https://({places})({code_name})/", source) is None:
        shown = code_names.get(version, "CODENAME")
        allowed = " or ".join(f"https://{each}{shown}/" for each in _PLACES[distro])
        yield f"image_source of a generic {distro} {version} must begin with {allowed} (SCS-0104)"
