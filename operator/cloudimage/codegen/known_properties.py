"""Makes ``known_properties.json`` from Glance's metadata definitions."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

_RESOURCE = "OS::Glance::Image"
_NAMESPACES = ("OS::Compute::", "OS::Glance::")
"""Those of OpenStack's own services: the rest describes software in the guest."""

_LEFT_OUT = frozenset({"OS::Compute::XenAPI", "OS::Compute::VTPM"})
"""A driver that no longer exists; and traits, whose prefix the definition misspells."""

_OPEN_LISTS = frozenset({"vmware_ostype"})
"""Lists that a newer hypervisor makes longer."""

_BOOLEANS = ({"true", "false"}, {"yes", "no"})
"""Lists that mean a boolean: Nova reads every spelling of one."""

Definition = dict[str, Any]


def known(namespaces: Iterable[Mapping[str, Any]]) -> dict[str, Definition]:
    """Return what metadata definitions say of images' properties, by name.

    Properties that may have any text are left out. Of one that two namespaces define, each may
    be meant.

    Args:
        namespaces: As the files and ``GET /v2/metadefs/namespaces/{namespace}`` have them.
    """
    found: dict[str, Definition] = {}
    for namespace in namespaces:
        for name, schema in _properties(namespace):
            definition = _definition(schema)
            if definition and name not in _OPEN_LISTS:
                found[name] = _either(found[name], definition) if name in found else definition
    return dict(sorted(found.items()))


def render(folder: Path) -> str:
    """Return the file's text, from a folder of metadata definitions."""
    files = sorted(folder.glob("*.json"))
    return json.dumps(known(json.loads(path.read_text()) for path in files), indent=1) + "\n"


def _properties(namespace: Mapping[str, Any]) -> Iterable[tuple[str, Mapping[str, Any]]]:
    name = namespace["namespace"]
    if not name.startswith(_NAMESPACES) or name in _LEFT_OUT:
        return
    for association in namespace.get("resource_type_associations", ()):
        if association["name"] == _RESOURCE:
            prefix = association.get("prefix", "")
            for holder in (namespace, *namespace.get("objects", ())):
                for key, schema in holder.get("properties", {}).items():
                    yield prefix + key, schema


def _definition(schema: Mapping[str, Any]) -> Definition | None:
    values = schema.get("enum", ())
    if schema["type"] == "boolean" or set(values) in _BOOLEANS:
        return {"type": "boolean"}
    if schema["type"] == "integer":
        bound = {"minimum": schema["minimum"]} if "minimum" in schema else {}
        return {"type": "integer", **bound}
    return {"type": "string", "values": sorted(values)} if values else None


def _either(one: Definition, other: Definition) -> Definition:
    """Return the definition that allows what either of two of the same type does."""
    if "values" not in one:
        return one
    return {**one, "values": sorted({*one["values"], *other["values"]})}
