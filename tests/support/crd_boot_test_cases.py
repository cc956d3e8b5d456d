"""Boot tests: what the CRD takes of spec.bootTest, and what it refuses."""

from typing import Any

_ID = "0b1c2d3e-4f5a-4697-8879-6a5b4c3d2e1f"

ACCEPTED_BOOT_TESTS: dict[str, dict[str, Any]] = {
    "a boot test": {"spec.bootTest": {"flavor": "m1.small"}},
    "a boot test with all": {
        "spec.bootTest": {
            "flavor": "m1.small",
            "networks": [{"name": "provider-net"}, {"id": _ID}],
            "expect": {
                "ipv4": True,
                "ipv6": False,
                "sshKey": True,
                "ssh": True,
                "consoleMatches": "login:",
                "within": "1h",
            },
            "user": "debian",
            "volumeGiB": 10,
            "required": False,
            "every": "30d",
        }
    },
    "a boot test without networks": {
        "spec.bootTest": {"flavor": "f", "networks": [], "expect": {"ipv6": False}}
    },
    **{
        f"a boot test within {each}": {"spec.bootTest": {"flavor": "f", "expect": {"within": each}}}
        for each in ("30s", "90s", "3600s", "1m", "59m", "60m", "2m30s", "1h")
    },
    **{
        f"a boot test every {each}": {"spec.bootTest": {"flavor": "f", "every": each}}
        for each in ("60m", "1h", "1d12h", "99999d")
    },
}

REJECTED_BOOT_TESTS: dict[str, tuple[dict[str, Any], str]] = {
    "a boot test without a flavor": ({"spec.bootTest": {}}, "spec.bootTest.flavor: Required value"),
    "a network by nothing": (
        {"spec.bootTest": {"flavor": "f", "networks": [{}]}},
        "give either name or id",
    ),
    "a network by two": (
        {"spec.bootTest": {"flavor": "f", "networks": [{"name": "a", "id": _ID}]}},
        "give either name or id",
    ),
    "a network by no id": (
        {"spec.bootTest": {"flavor": "f", "networks": [{"id": "a"}]}},
        "must be the id of a network",
    ),
    "nine networks": (
        {"spec.bootTest": {"flavor": "f", "networks": [{"name": "a"}] * 9}},
        "must have at most 8 items",
    ),
    "addresses without networks": (
        {"spec.bootTest": {"flavor": "f", "networks": [], "expect": {"ipv4": True}}},
        "without networks neither addresses nor a login by ssh can be expected",
    ),
    "a login without networks": (
        {"spec.bootTest": {"flavor": "f", "networks": [], "expect": {"ssh": True}}},
        "without networks neither addresses nor a login by ssh can be expected",
    ),
    "a login without a key": (
        {"spec.bootTest": {"flavor": "f", "expect": {"ssh": True, "sshKey": False}}},
        "a login by ssh needs the key",
    ),
    **{
        f"a boot test within {each}": (
            {"spec.bootTest": {"flavor": "f", "expect": {"within": each}}},
            "must be a duration between 30s and 1h",
        )
        for each in ("29s", "3601s", "61m", "2h", "1d", "10")
    },
    **{
        f"a boot test every {each}": (
            {"spec.bootTest": {"flavor": "f", "every": each}},
            "must be a duration of at least 1h",
        )
        for each in ("59m", "3600s", "30m59s", "week")
    },
    "a pattern that is too long": (
        {"spec.bootTest": {"flavor": "f", "expect": {"consoleMatches": "a" * 257}}},
        "may not be more than 256",
    ),
    "a user that is none": (
        {"spec.bootTest": {"flavor": "f", "user": "a b"}},
        "must be the name of a user",
    ),
    "a volume of nothing": (
        {"spec.bootTest": {"flavor": "f", "volumeGiB": 0}},
        "spec.bootTest.volumeGiB in body should be greater than or equal to 1",
    ),
    "a boot test of an image that is only observed": (
        {
            "spec.managementPolicy": "Unmanaged",
            "spec.import.id": _ID,
            "spec.source": None,
            "spec.bootTest": {"flavor": "f"},
        },
        "bootTest needs managementPolicy Managed",
    ),
}
