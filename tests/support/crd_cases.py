"""CloudImages as changes of a small one: what the CRD takes, and what it refuses in which words."""

from typing import Any

from cloudimage.api.names import API_VERSION
from support.crd_boot_test_cases import ACCEPTED_BOOT_TESTS, REJECTED_BOOT_TESTS
from support.crd_customize_cases import ACCEPTED_CUSTOMIZE, REJECTED_CUSTOMIZE
from support.crd_retention_cases import ACCEPTED_RETENTION, REJECTED_RETENTION
from support.crd_source_cases import ACCEPTED_SOURCES, REJECTED_SOURCES, UUID

SHA256 = "0123456789abcdefABCDEF".ljust(64, "0")

Body = dict[str, Any]


def cloud_image(changes: dict[str, Any] | None = None) -> Body:
    """Return a small CloudImage with changes by dotted path; None takes a field away."""
    body: Body = {
        "apiVersion": API_VERSION,
        "kind": "CloudImage",
        "metadata": {"name": "debian-12"},
        "spec": {
            "cloudCredentialsRef": {"secretName": "openstack", "cloudName": "prod"},
            "source": {"http": {"url": "https://example.org/debian-12.qcow2"}},
        },
    }
    for path, value in (changes or {}).items():
        *parents, last = path.split(".")
        node = body
        for name in parents:
            node = node.setdefault(name, {})
        node.pop(last, None)
        if value is not None:
            node[last] = value
    return body


def checksum(**algorithms: Any) -> dict[str, Any]:
    return {"spec.source.http.checksum": algorithms}


def properties(values: dict[str, Any]) -> dict[str, Any]:
    return {"spec.image.properties": values}


ADOPTED = {"spec.adopt.id": UUID}
UNMANAGED: dict[str, Any] = {"spec.managementPolicy": "Unmanaged", "spec.source": None}
NO_URL = "must be a URL that begins with http:// or https://, has a host"

ACCEPTED: dict[str, dict[str, Any]] = {
    "the least": {},
    "plain http": {"spec.source.http.url": "http://10.0.0.1:8080/image.raw?version=1"},
    "the longest url": {"spec.source.http.url": "https://example.org/".ljust(2048, "x")},
    **ACCEPTED_SOURCES,
    "md5": checksum(md5="0" * 32),
    "sha1": checksum(sha1="0" * 40),
    "sha256 in both cases": checksum(sha256=SHA256),
    "sha512": checksum(sha512="0" * 128),
    "blake2b": checksum(blake2b="0" * 128),
    "declared raw": {"spec.source.http.format": "raw"},
    "ami in ami": {"spec.image": {"diskFormat": "ami", "containerFormat": "ami"}},
    "ari by its container alone": {"spec.image": {"containerFormat": "ari"}},
    "a kernel by its source": {
        "spec.source.http.format": "aki",
        "spec.image": {"containerFormat": "aki"},
    },
    "ova that is adopted": {
        "spec.source": None,
        "spec.adopt.id": "0b1c2d3e-4f5a-4697-8879-6a5b4c3d2e1f",
        "spec.image": {"containerFormat": "ova"},
    },
    "a long name beyond ASCII": {"spec.image.name": "ß" * 255},
    "the largest numbers": {"spec.image": {"minDiskGiB": 2**31 - 1, "minRamMiB": 2**31 - 1}},
    "zero": {"spec.image": {"minDiskGiB": 0, "minRamMiB": 0}},
    "as many tags as Glance takes": {"spec.image.tags": [f"t{n}" for n in range(128)]},
    "as many properties as fit beside the marks": properties(
        {f"{n:03}".ljust(255, "ß"): "v" * 4096 for n in range(120)}
    ),
    "an empty value": properties({"os_require_quiesce": ""}),
    "names that only look like Glance's": properties({"min_disk_hint": "1", "glance": "1"}),
    "orphan": {"spec.deletionPolicy": "Orphan"},
    "references": {
        "spec.image": {"kernelRef": {"name": "kernel"}, "ramdiskRef": {"name": "ramdisk"}}
    },
    "a kernel by its id": properties({"kernel_id": "x"}),
    "one by its id, one by its object": {
        "spec.image": {"kernelRef": {"name": "k"}, "properties": {"ramdisk_id": "x"}}
    },
    "known properties": properties(
        {
            "hw_disk_bus": "scsi",
            "hw_cdrom_bus": "ide",
            "hw_firmware_type": "uefi",
            "hw_qemu_guest_agent": "Yes",
            "hw_vif_multiqueue_enabled": "true",
            "os_secure_boot": "required",
            "trait:HW_CPU_X86_AVX2": "required",
        }
    ),
    # Lists that grow get a warning in the status instead.
    "a network card of tomorrow": properties({"hw_vif_model": "e9000"}),
    "policies": {"spec.propertyPolicy": "Purge", "spec.driftPolicy": "Report"},
    "adopted alone": ADOPTED | {"spec.source": None},
    "adopted beside a source": ADOPTED,
    "observed by its id": UNMANAGED | {"spec.import.id": UUID},
    "observed by a filter": UNMANAGED | {"spec.import.filter": {"tags": ["golden"]}},
    "no revisions": {"spec.revisionHistoryLimit": 0},
    **ACCEPTED_CUSTOMIZE,
    **ACCEPTED_RETENTION,
    **ACCEPTED_BOOT_TESTS,
    "templates": {
        "spec.image.name": "Debian $(version) ($(built)) $$(x) 5$",
        "spec.image.tags": ["$(version)"],
        "spec.image.properties": {"a": "$(source.checksum)\n$(version)", "b": ""},
    },
    "published": {"spec.publish.configMap": {"name": "images", "key": "a.b_c-1"}},
    "provenance": {"spec.provenance": "SCS"},
    "a look into the image": {"spec.lint": "Enforce"},
    "no look into the image": {"spec.lint": "Skip"},
}

_VARIABLES = "may use only the variables $(version), $(built) and $(source.checksum)"

REJECTED: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown variable in the name": ({"spec.image.name": "$(verison)"}, _VARIABLES),
    "a variable of the index in a tag": ({"spec.image.tags": ["$(folder)"]}, _VARIABLES),
    "an unknown variable in a property": (properties({"a": "$$$(x)"}), _VARIABLES),
    "another kind of look": ({"spec.lint": "Auto"}, "spec.lint: Unsupported value"),
    "a look into what is only observed": (
        {**UNMANAGED, "spec.import.id": UUID, "spec.lint": "Warn"},
        "lint needs managementPolicy Managed",
    ),
    "another standard": ({"spec.provenance": "ABC"}, "spec.provenance: Unsupported value"),
    "a ConfigMap's key with a slash": (
        {"spec.publish.configMap": {"name": "images", "key": "a/b"}},
        "must be of letters, digits, dots, dashes and underscores",
    ),
    "one key for id and version": (
        {"spec.publish.configMap": {"name": "images", "key": "a", "versionKey": "a"}},
        "key and versionKey must differ",
    ),
    "what is only observed is not published": (
        {
            **UNMANAGED,
            "spec.import.id": UUID,
            "spec.publish.configMap": {"name": "images", "key": "a"},
        },
        "publish needs managementPolicy Managed",
    ),
    "provenance of what is only observed": (
        {**UNMANAGED, "spec.import.id": UUID, "spec.provenance": "SCS"},
        "provenance needs managementPolicy Managed",
    ),
    "no spec": ({"spec": None}, "spec: Required value"),
    "no credentials": (
        {"spec.cloudCredentialsRef": None},
        "spec.cloudCredentialsRef: Required value",
    ),
    "no Secret's name": (
        {"spec.cloudCredentialsRef.secretName": ""},
        "spec.cloudCredentialsRef.secretName: Invalid value",
    ),
    "no source": ({"spec.source": None}, "set source, or adopt"),
    "no member of source": ({"spec.source": {}}, "set exactly one source"),
    **REJECTED_SOURCES,
    "no url": ({"spec.source.http": {}}, "give a url, or an index"),
    "ftp": ({"spec.source.http.url": "ftp://example.org/x"}, NO_URL),
    "file": ({"spec.source.http.url": "file:///etc/passwd"}, NO_URL),
    "url without host": ({"spec.source.http.url": "https:///x"}, NO_URL),
    "url with a user": ({"spec.source.http.url": "https://me:pw@example.org/x"}, NO_URL),
    "url with a space": (
        {"spec.source.http.url": "https://a/b c"},
        NO_URL,
    ),
    "url of two lines": (
        {"spec.source.http.url": "https://a/b\nHost: c"},
        NO_URL,
    ),
    "url too long": (
        {"spec.source.http.url": "https://example.org/".ljust(2049, "x")},
        "may not be more than 2048",
    ),
    "unknown source format": (
        {"spec.source.http.format": "qcow3"},
        'spec.source.http.format: Unsupported value: "qcow3"',
    ),
    "two checksums": (
        checksum(md5="0" * 32, sha256=SHA256),
        "give the checksum by exactly one algorithm",
    ),
    "no checksum in checksum": (checksum(), "give the checksum by exactly one algorithm"),
    "checksum and from": (
        checksum(sha256=SHA256, **{"from": {"url": "https://example.org/SUMS"}}),
        "give the checksum by exactly one algorithm",
    ),
    "clearsigned nothing": (
        checksum(signature={"keyring": {"secret": {"name": "k", "key": "ring"}}}),
        "set from, or signature.url",
    ),
    "keyring twice": (
        checksum(
            signature={
                "url": "https://example.org/image.sig",
                "keyring": {
                    "secret": {"name": "k", "key": "ring"},
                    "configMap": {"name": "k", "key": "ring"},
                },
            }
        ),
        "name either a secret or a configMap",
    ),
    "unknown method": (
        {"spec.import.method": "Teleport"},
        'spec.import.method: Unsupported value: "Teleport"',
    ),
    "no stores": ({"spec.import.stores": []}, "should have at least 1 items"),
    "size without unit": (
        {"spec.image.maxSize": "20"},
        "must be a whole number with Mi, Gi or Ti, for example 20Gi",
    ),
    "not hexadecimal": (
        checksum(sha256="g" * 64),
        "must be 64 hexadecimal digits",
    ),
    "too short": (checksum(sha512="0" * 127), "must be 128 hexadecimal digits"),
    "too long": (checksum(sha1="0" * 41), "may not be more than 40"),
    "unknown algorithm": (
        checksum(crc32="00000000"),
        'unknown field "spec.source.http.checksum.crc32"',
    ),
    "unknown disk format": (
        {"spec.image.diskFormat": "qcow3"},
        'spec.image.diskFormat: Unsupported value: "qcow3"',
    ),
    "unknown visibility": (
        {"spec.image.visibility": "everyone"},
        'spec.image.visibility: Unsupported value: "everyone"',
    ),
    "unknown policy": (
        {"spec.deletionPolicy": "Keep"},
        'spec.deletionPolicy: Unsupported value: "Keep"',
    ),
    "ami in bare": (
        {"spec.image": {"diskFormat": "ami", "containerFormat": "bare"}},
        "Glance requires containerFormat to equal diskFormat",
    ),
    "ami in the default": (
        {"spec.image": {"diskFormat": "ami"}},
        "Glance requires containerFormat to equal diskFormat",
    ),
    "raw in aki": (
        {"spec.image": {"diskFormat": "raw", "containerFormat": "aki"}},
        "Glance requires containerFormat to equal diskFormat",
    ),
    "a kernel in bare": (
        {"spec.source.http.format": "aki"},
        "Glance requires containerFormat to equal it",
    ),
    "ova": ({"spec.image": {"containerFormat": "ova"}}, "a plain disk and nothing around it"),
    "docker": ({"spec.image": {"containerFormat": "docker"}}, "use bare"),
    "compressed": (
        {"spec.image": {"diskFormat": "qcow2", "containerFormat": "compressed"}},
        "containerFormat cannot be compressed, docker or ova",
    ),
    "name too long": ({"spec.image.name": "n" * 256}, "may not be more than 255"),
    "empty name": ({"spec.image.name": ""}, "spec.image.name: Invalid value"),
    "negative disk": (
        {"spec.image.minDiskGiB": -1},
        "spec.image.minDiskGiB in body should be greater than or equal to 0",
    ),
    "disk beyond Glance's database": (
        {"spec.image.minDiskGiB": 2**31},
        "spec.image.minDiskGiB: Invalid value",
    ),
    "memory as text": (
        {"spec.image.minRamMiB": "512"},
        "spec.image.minRamMiB in body must be of type integer",
    ),
    "the same tag twice": (
        {"spec.image.tags": ["a", "b", "a"]},
        'spec.image.tags[2]: Duplicate value: "a"',
    ),
    "tag too long": ({"spec.image.tags": ["t" * 256]}, "may not be more than 255"),
    "too many tags": (
        {"spec.image.tags": [f"t{n}" for n in range(129)]},
        "spec.image.tags: Too many: 129: must have at most 128 items",
    ),
    "number as property": (
        properties({"hw_cpu_cores": 4}),
        "spec.image.properties.hw_cpu_cores in body must be of type string",
    ),
    "boolean as property": (
        properties({"hw_qemu_guest_agent": True}),
        "spec.image.properties.hw_qemu_guest_agent in body must be of type string",
    ),
    "Glance's own property": (
        properties({"os_glance_importing_to_stores": "x", "a": "b"}),
        "os_glance_importing_to_stores: reserved, as all names that start with os_glance",
    ),
    "our own property": (
        properties({"cloudimage_dev_uid": "x", "a": "b"}),
        "cloudimage_dev_uid: reserved",
    ),
    "base attribute as property": (
        properties({"min_disk": "3", "hw_disk_bus": "scsi"}),
        "min_disk: no property but a base attribute of Glance images",
    ),
    "kernel twice": (
        {"spec.image": {"kernelRef": {"name": "k"}, "properties": {"kernel_id": "x"}}},
        "kernelRef sets the property kernel_id",
    ),
    "ramdisk twice": (
        {"spec.image": {"ramdiskRef": {"name": "r"}, "properties": {"ramdisk_id": "x"}}},
        "ramdiskRef sets the property ramdisk_id",
    ),
    "reference without a name": (
        {"spec.image.kernelRef": {"name": ""}},
        "spec.image.kernelRef.name: Invalid value",
    ),
    "a bus that no hypervisor has": (
        properties({"hw_disk_bus": "nvme"}),
        "hw_disk_bus must be one of fdc, ide, lxc, sata, scsi, uml, usb, virtio, xen",
    ),
    "a bus in the wrong case": (properties({"hw_cdrom_bus": "IDE"}), "hw_cdrom_bus must be one of"),
    "firmware of yore": (
        properties({"hw_firmware_type": "openfirmware"}),
        "hw_firmware_type must be one of bios, uefi",
    ),
    "neither true nor false": (
        properties({"hw_qemu_guest_agent": "enabled", "hw_vif_multiqueue_enabled": "true"}),
        "hw_qemu_guest_agent: neither true nor false",
    ),
    "a trait that is forbidden": (
        properties({"trait:HW_CPU_X86_AVX2": "forbidden", "trait:CUSTOM_A": "required"}),
        "trait:HW_CPU_X86_AVX2: a trait must be required",
    ),
    "property without name": (properties({"": "x"}), "a name here has 1 to 255 characters"),
    "property's name too long": (
        properties({"p" * 256: "x"}),
        "a name here has 1 to 255 characters",
    ),
    "property's value too long": (properties({"p": "v" * 4097}), "may not be more than 4096"),
    "too many properties": (
        properties({f"p{n}": "x" for n in range(121)}),
        "spec.image.properties: Too many: 121: must have at most 120 items",
    ),
    "managed without source and adopt": (
        {"spec.source": None, "spec.import.method": "Upload"},
        "set source, or adopt",
    ),
    "managed by import.id": ({"spec.import.id": UUID}, "need managementPolicy Unmanaged"),
    "managed by import.filter": (
        {"spec.import.filter": {"name": "debian"}},
        "need managementPolicy Unmanaged",
    ),
    "unmanaged and nothing named": (UNMANAGED, "needs import.id or import.filter"),
    "unmanaged and only a method": (
        UNMANAGED | {"spec.import.method": "Auto"},
        "needs import.id or import.filter",
    ),
    "unmanaged with a source": (
        {"spec.managementPolicy": "Unmanaged", "spec.import.id": UUID},
        "can have neither source nor adopt",
    ),
    "unmanaged and adopted": (
        UNMANAGED | ADOPTED | {"spec.import.id": UUID},
        "can have neither source nor adopt",
    ),
    "observed by id and filter": (
        UNMANAGED | {"spec.import": {"id": UUID, "filter": {"name": "debian"}}},
        "give either the id or a filter",
    ),
    "empty filter": (
        UNMANAGED | {"spec.import.filter": {}},
        "give at least one of name, visibility, owner and tags",
    ),
    "adopted by its name": ({"spec.adopt.id": "debian"}, "must be the id of an image"),
    "adopted without id": ({"spec.adopt": {}}, "spec.adopt.id: Required value"),
    "negative history": (
        {"spec.revisionHistoryLimit": -1},
        "spec.revisionHistoryLimit in body should be greater than or equal to 0",
    ),
    **REJECTED_CUSTOMIZE,
    **REJECTED_RETENTION,
    **REJECTED_BOOT_TESTS,
    "unknown management": (
        {"spec.managementPolicy": "Mine"},
        'spec.managementPolicy: Unsupported value: "Mine"',
    ),
    "misspelt": ({"spec.image.minDiskGib": 3}, 'unknown field "spec.image.minDiskGib"'),
}
