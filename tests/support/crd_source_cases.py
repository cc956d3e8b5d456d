"""Sources other than a URL: what the CRD takes of them, and what it refuses in which words."""

from typing import Any

UUID = "0b1c2d3e-4f5a-4697-8879-6a5b4c3d2e1f"

ACCEPTED_SOURCES: dict[str, dict[str, Any]] = {
    "an image of a Glance": {"spec.source": {"glance": {"id": UUID}}},
    "an image of another cloud by its name": {
        "spec.source": {
            "glance": {
                "name": "Debian 12",
                "cloudCredentialsRef": {"secretName": "old", "cloudName": "east"},
            }
        }
    },
    "an object of a public bucket": {
        "spec.source": {"s3": {"bucket": "images", "key": ".a/..b/disk.raw"}}
    },
    "an object of a bucket": {
        "spec.source": {
            "s3": {
                "endpoint": "https://s3.example.org:9000/store",
                "region": "eu-central-1",
                "addressingStyle": "VirtualHosted",
                "bucket": "images.example.org",
                "key": "/debian//ü 12.qcow2",
                "versionID": "3HL4kqtJlcpXroDTDmJ.rmSpXd3dIbrHY",
                "credentialsRef": {"secretName": "bucket"},
                "caCertificate": {"configMap": {"name": "ca", "key": "ca.crt"}},
                "checksum": {"sha512": "ab" * 64},
                "format": "qcow2",
            }
        }
    },
    "an object of Swift": {
        "spec.source": {
            "swift": {
                "cloudCredentialsRef": {"secretName": "old", "cloudName": "east"},
                "container": "ü disks.d",
                "object": "debian//12.qcow2",
                "checksum": {"blake2b": "ab" * 64},
            }
        }
    },
    "a disk in a registry": {
        "spec.source": {
            "oci": {
                "image": "registry.example.org:5000/team/disks/debian:12",
                "digest": f"sha256:{'0a' * 32}",
                "pullSecret": "registry",
                "caCertificate": {"secret": {"name": "ca", "key": "ca.crt"}},
                "path": "/disk/debian.qcow2",
                "architecture": "arm/v7",
            }
        }
    },
    "a disk in Docker Hub": {"spec.source": {"oci": {"image": "debian"}}},
    "an image with its metadata": {"spec.source": {"glance": {"id": UUID, "copyMetadata": True}}},
    "an image by a filter": {"spec.source": {"glance": {"filter": {"tags": ["daily"]}}}},
    "a server": {"spec.source": {"server": {"id": UUID, "trigger": "2", "quiesce": "Required"}}},
    "a volume by its name": {"spec.source": {"volume": {"name": "x", "force": True}}},
    "a snapshot of a volume": {"spec.source": {"volume": {"snapshotID": UUID}}},
    "a server by a schedule": {
        "spec.source": {"server": {"id": UUID}},
        "spec.follow": {
            "schedule": "0 3 * * *",
            "window": {"schedule": "0 2 * * *", "duration": "4h"},
        },
    },
    "a tag that is only reported": {
        "spec.source": {"oci": {"image": "debian:12"}},
        "spec.follow": {"every": "6h", "policy": "Report", "minimumAge": "3d"},
    },
}

REJECTED_SOURCES: dict[str, tuple[dict[str, Any], str]] = {
    "a key that HTTP clients would change": (
        {"spec.source": {"s3": {"bucket": "images", "key": "a/../disk.raw"}}},
        "none of its parts between slashes may be . or ..",
    ),
    "an object by two checksums": (
        {
            "spec.source": {
                "s3": {
                    "bucket": "images",
                    "key": "disk.raw",
                    "checksum": {"sha256": "ab" * 32, "md5": "ab" * 16},
                }
            }
        },
        "give the checksum by exactly one algorithm",
    ),
    "a store with a password in its URL": (
        {"spec.source": {"s3": {"endpoint": "https://a:b@c", "bucket": "images", "key": "x"}}},
        "neither blanks, nor a user and password, nor a query",
    ),
    "a container with a slash": (
        {"spec.source": {"swift": {"container": "a/b", "object": "x"}}},
        "must be a container's name without slashes",
    ),
    "a container that HTTP clients would leave out": (
        {"spec.source": {"swift": {"container": "..", "object": "x"}}},
        "must be a container's name without slashes",
    ),
    "no name of an image": (
        {"spec.source": {"oci": {"image": "docker://quay.io/a"}}},
        "must be an image as a pod has it",
    ),
    "a digest twice": (
        {"spec.source": {"oci": {"image": f"a@sha256:{'0' * 64}", "digest": f"sha256:{'0' * 64}"}}},
        "give the digest in image or in digest, not in both",
    ),
    "a digest that is too short": (
        {"spec.source": {"oci": {"image": "a", "digest": "sha256:00"}}},
        "must be a digest",
    ),
    "an architecture with a blank": (
        {"spec.source": {"oci": {"image": "a", "architecture": "ARM 64"}}},
        "must be an architecture",
    ),
    "two sources": ({"spec.source.glance": {"id": UUID}}, "set exactly one source"),
    "a server without a name": (
        {"spec.source": {"server": {"trigger": "1"}}},
        "give exactly one of id and name",
    ),
    "a server with a name for an id": (
        {"spec.source": {"server": {"id": "build"}}},
        "must be an id, for example",
    ),
    "a server that is quiesced otherwise": (
        {"spec.source": {"server": {"id": UUID, "quiesce": "Sometimes"}}},
        "spec.source.server.quiesce: Unsupported value",
    ),
    "a volume and a snapshot": (
        {"spec.source": {"volume": {"id": UUID, "snapshotID": UUID}}},
        "give exactly one of id, name and snapshotID",
    ),
    "snapshots of a server that are only reported": (
        {
            "spec.source": {"server": {"id": UUID}},
            "spec.follow": {"every": "1d", "policy": "Report"},
        },
        "follow takes no policy Report and no minimumAge with these",
    ),
    "snapshots of a volume that wait": (
        {
            "spec.source": {"volume": {"id": UUID}},
            "spec.follow": {"every": "1d", "minimumAge": "3d"},
        },
        "follow takes no policy Report and no minimumAge with these",
    ),
    "a Glance without an image": (
        {"spec.source": {"glance": {}}},
        "give exactly one of id, name and filter",
    ),
    "a Glance with an id and a name": (
        {"spec.source": {"glance": {"id": UUID, "name": "x"}}},
        "give exactly one of id, name and filter",
    ),
    "a Glance with a name for an id": (
        {"spec.source": {"glance": {"id": "debian-12"}}},
        "must be the id of an image",
    ),
    "a Glance with an empty filter": (
        {"spec.source": {"glance": {"filter": {}}}},
        "give at least one of name, visibility, owner and tags",
    ),
}
