"""How earlier images age: what the CRD takes of spec.retention, and what it refuses."""

from typing import Any

ACCEPTED_RETENTION: dict[str, dict[str, Any]] = {
    "a retention": {
        "spec.retention": {
            "keep": 3,
            "rename": "{name} ({built:%Y-%m-%d})",
            "visibleFor": "60d",
            "then": "Community",
            "deprecateAfter": "90d",
            "deleteUnusedAfter": "365d",
        }
    },
    "a retention by its defaults": {"spec.retention": {}},
    "a name with the version": {"spec.retention": {"rename": "{name}/{version}"}},
    "a retention beside the default": {"spec.retention": {}, "spec.revisionHistoryLimit": 1},
}

REJECTED_RETENTION: dict[str, tuple[dict[str, Any], str]] = {
    "a history and a retention": (
        {"spec.retention": {"keep": 3}, "spec.revisionHistoryLimit": 3},
        "give either revisionHistoryLimit or retention",
    ),
    "a name that does not vary": (
        {"spec.retention": {"rename": "old {name}"}},
        "must be a name with {version} or {built:%Y-%m-%d}",
    ),
    "a name with an unknown part": (
        {"spec.retention": {"rename": "{name} {version} {release}"}},
        "must be a name with {version} or {built:%Y-%m-%d}",
    ),
    "a date with an unknown letter": (
        {"spec.retention": {"rename": "{name} {built:%s}"}},
        "must be a name with {version} or {built:%Y-%m-%d}",
    ),
    "an age that is no time": (
        {"spec.retention": {"visibleFor": "two months"}},
        "must be a duration in days",
    ),
    "an unknown end": (
        {"spec.retention": {"then": "Deleted"}},
        'spec.retention.then: Unsupported value: "Deleted"',
    ),
    "keep fewer than none": (
        {"spec.retention": {"keep": -1}},
        "spec.retention.keep in body should be greater than or equal to 0",
    ),
}
