"""spec.customize as the CRD takes it, and what it refuses in which words."""

from typing import Any


def _steps(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"spec.customize": {"steps": list(steps)}}


def _file(path: str, **more: Any) -> dict[str, Any]:
    return _steps({"writeFile": {"path": path, "content": "x", **more}})


_KEY = {"name": "a", "key": "b"}
_PATH = "must be an absolute path without . or .."
_NAME = "must be the name of a systemd unit"

ACCEPTED_CUSTOMIZE: dict[str, dict[str, Any]] = {
    "each step": _steps(
        {"run": {"script": "set -e\n\ttrue 'ü'\n"}},
        {"run": {"configMapKeyRef": _KEY}},
        {"writeFile": {"path": "/a/.b/c..d e", "secretKeyRef": _KEY, "mode": "0600"}},
        {"writeFile": {"path": "/a", "content": "", "owner": "root:adm"}},
        {"copyIn": {"directory": "/etc/x", "configMapRef": {"name": "a"}}},
        {"copyIn": {"directory": "/etc/x", "secretRef": {"name": "a"}}},
        {"appendLine": {"path": "/etc/fstab", "line": "a\tb:c $(x) 'y'"}},
        {"timezone": "Europe/Berlin"},
        {"hostnameReset": True},
        {"enableServices": ["a@b.service", "x.timer"]},
        {"disableServices": ["a"]},
        {"sysprep": {"operations": ["ssh-hostkeys"]}},
        {"selinuxRelabel": True},
    ),
    "a larger disk": {
        "spec.image.minDiskGiB": 8,
        **_steps({"growRoot": {"toGiB": 8}}, {"timezone": "UTC"}),
    },
    "nothing but sparsify": {"spec.customize": {"sparsify": True}},
    "steps with a network": {
        "spec.customize": {
            "network": True,
            "steps": [{"installPackages": ["nginx", "libc6:i386", "vim=2:9"]}, {"update": True}],
        }
    },
}

REJECTED_CUSTOMIZE: dict[str, tuple[dict[str, Any], str]] = {
    "customize: nothing": ({"spec.customize": {}}, "give at least one of steps, sparsify"),
    "customize: no step": ({"spec.customize": {"steps": []}}, "at least 1 items"),
    "customize: two kinds in a step": (
        _steps({"timezone": "UTC", "hostnameReset": True}),
        "a step has exactly one of",
    ),
    "customize: an empty step": (_steps({}), "a step has exactly one of"),
    "customize: false": (_steps({"hostnameReset": False}), "Unsupported value: false"),
    "customize: a relative path": (_file("etc/x"), _PATH),
    "customize: a path out": (_file("/etc/../x"), _PATH),
    "customize: a path with a dot": (_file("/etc/./x"), _PATH),
    "customize: a path with a colon": (_file("/etc/x:y"), _PATH),
    "customize: a path with a line feed": (_file("/etc/x\ny"), _PATH),
    "customize: a folder": (_file("/etc/"), _PATH),
    "customize: a mode with setuid": (_file("/x", mode="4755"), "must be a mode of three octal"),
    "customize: an owner that is an option": (_file("/x", owner="--from=a"), "must be a user"),
    "customize: two contents": (_file("/x", secretKeyRef=_KEY), "give exactly one of content"),
    "customize: no script": (_steps({"run": {}}), "give exactly one of script"),
    "customize: NUL in a script": (_steps({"run": {"script": "a\0b"}}), "must not contain NUL"),
    "customize: two lines": (
        _steps({"appendLine": {"path": "/x", "line": "a\nb"}}),
        "must be one line",
    ),
    "customize: a unit that is an option": (_steps({"enableServices": ["--root=/"]}), _NAME),
    "customize: a unit with a blank": (_steps({"enableServices": ["a b"]}), _NAME),
    "customize: a time zone that leads out": (
        _steps({"timezone": "../etc/passwd"}),
        "must be a time zone's name",
    ),
    "customize: an unknown operation": (
        _steps({"sysprep": {"operations": ["fs-uuids"]}}),
        'Unsupported value: "fs-uuids"',
    ),
    "customize: packages without a network": (
        _steps({"installPackages": ["nginx"]}),
        "installPackages and update need network: true",
    ),
    "customize: a package that is an option": (
        _steps({"installPackages": ["--purge"]}),
        "must be a package's name",
    ),
    "customize: labels before another step": (
        _steps({"selinuxRelabel": True}, {"timezone": "UTC"}),
        "make it the last step",
    ),
    "customize: labels twice": (
        _steps({"selinuxRelabel": True}, {"selinuxRelabel": True}),
        "make it the last step",
    ),
    "customize: an update without a network": (
        {"spec.customize": {"network": False, "steps": [{"update": True}]}},
        "installPackages and update need network: true",
    ),
    "customize: a disk that grows late": (
        _steps({"timezone": "UTC"}, {"growRoot": {"toGiB": 8}}),
        "make it the first step",
    ),
    "customize: a disk that grows twice": (
        _steps({"growRoot": {"toGiB": 8}}, {"growRoot": {"toGiB": 9}}),
        "make it the first step",
    ),
    "customize: a disk of nothing": (_steps({"growRoot": {"toGiB": 0}}), "greater than or equal"),
    "customize: a disk that no server need have": (
        {"spec.image.minDiskGiB": 8, **_steps({"growRoot": {"toGiB": 9}})},
        "must not make the disk larger than image.minDiskGiB",
    ),
    "customize: an upload": (
        {
            "spec.source": {"upload": {"sha256": "0" * 64}},
            "spec.customize": {"sparsify": True},
        },
        "customize needs a source that the operator itself reads: not upload",
    ),
    "customize: Glance would fetch": (
        {"spec.import": {"method": "WebDownload"}, "spec.customize": {"sparsify": True}},
        "not with import.method WebDownload",
    ),
}
