"""CloudImages and ImageShares of what ``terraform show -json`` prints; pure.

Sources: https://developer.hashicorp.com/terraform/internals/json-format for the document, and the
provider terraform-provider-openstack/openstack for the attributes of ``openstack_images_image_v2``
and ``openstack_images_image_access_v2``. A value that Terraform, or its provider, takes for secret
is in no object and in no message.
"""

import re
import shlex
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from cloudimage.cli.errors import CommandError
from cloudimage.cli.import_made import LeftOut, Made, Notes, Result, Wanted, present, properties
from cloudimage.cli.migrate_all import kubernetes_name
from cloudimage.templates import escaped
from cloudimage.vocabulary.image import PACKAGES

IMAGE: Final = "openstack_images_image_v2"
ACCESS: Final = "openstack_images_image_access_v2"
ACCEPT: Final = "openstack_images_image_access_accept_v2"

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_GONE: Final = frozenset({"deactivated", "deleted", "killed", "pending_delete"})
_DEEPEST: Final = 100
"""Modules in modules."""

Resource = Mapping[str, Any]


def is_shown(document: Mapping[str, Any]) -> bool:
    """Return whether a document is what the command prints of a state or of a plan."""
    return "format_version" in document or "planned_values" in document or "values" in document


def results(document: Mapping[str, Any], wanted: Wanted) -> Iterator[Result]:
    """Yield what becomes of each resource of Glance.

    Raises:
        CommandError: It has no image, or images of several regions.
    """
    found = [each for each in _resources(document) if each.get("type") in {IMAGE, ACCESS, ACCEPT}]
    if not found:
        raise CommandError(f"Terraform has no {IMAGE} there: is it the right workspace?")
    _check_regions(found, wanted.region)
    if wanted.region:
        found = [each for each in found if _region(each) in {None, wanted.region}]
    replaced = frozenset(_addresses(document, "delete"))
    for each in found:
        if each["type"] == IMAGE:
            yield _of_image(each, wanted, replaced)
    yield from _shares(found, wanted)
    for address in sorted(replaced - {str(each.get("address")) for each in found}):
        if f"{IMAGE}." in address:
            yield LeftOut(f"Terraform's {address}", "the plan deletes it", meant=True)


def _resources(document: Mapping[str, Any]) -> Iterator[Resource]:
    """Yield the resources that are managed, of all modules; those of data sources are others'."""
    values = document.get("planned_values") or document.get("values")
    todo = [(values.get("root_module") if isinstance(values, dict) else None, 0)]
    while todo:
        module, depth = todo.pop(0)
        if not isinstance(module, dict) or depth > _DEEPEST:
            continue
        for each in _list(module, "resources"):
            if isinstance(each, dict) and each.get("mode") == "managed":
                yield each
        todo += [(each, depth + 1) for each in _list(module, "child_modules")]


def _list(given: Mapping[str, Any], name: str) -> list[Any]:
    value = given.get(name)
    return value if isinstance(value, list) else []


def _values(resource: Resource) -> dict[str, Any]:
    """Return the attributes that are no secret."""
    values, marks = resource.get("values"), _marks(resource)
    given = values if isinstance(values, dict) else {}
    return {name: value for name, value in given.items() if marks.get(name) is not True}


def _marks(resource: Resource) -> dict[str, Any]:
    """Return what Terraform takes for secret: True in the place of a value or of a part of it."""
    marks = resource.get("sensitive_values")
    return marks if isinstance(marks, dict) else {}


def _region(resource: Resource) -> str | None:
    return _text(_values(resource), "region")


def _check_regions(found: list[Resource], region: str | None) -> None:
    regions = sorted({name for each in found if (name := _region(each))})
    if region is None and len(regions) > 1:
        raise CommandError(
            f"Terraform has images in the regions {', '.join(regions)}, and --cloud is of one of "
            "them: say which by --region, and run it once for each."
        )
    if region is not None and region not in regions:
        raise CommandError(f"Terraform has no image in the region {region}.")


def _addresses(document: Mapping[str, Any], action: str) -> Iterator[str]:
    """Yield the addresses of resources to which a plan does something, such as ``delete``."""
    for each in _list(document, "resource_changes"):
        change = each.get("change") if isinstance(each, dict) else None
        if isinstance(change, dict) and action in _list(change, "actions"):
            yield str(each.get("address"))


def _of_image(resource: Resource, wanted: Wanted, replaced: frozenset[str]) -> Result:
    address, values, notes = str(resource.get("address")), _values(resource), Notes()
    label = f"Terraform's {address}"
    status = _text(values, "status")
    if resource.get("deposed_key"):
        return LeftOut(
            label, "it is an earlier image that Terraform is about to delete", meant=True
        )
    if status in _GONE:
        return LeftOut(label, f"its image is {status} in Glance")
    image_id = _text(values, "id") or ""
    if _marks(resource).get("name") is True:
        return LeftOut(label, "its name is secret in Terraform's state, and would be in spec.image")
    adopted = bool(_UUID.fullmatch(image_id)) and address not in replaced
    if adopted:
        notes.add(
            f"Takes over the image {image_id}. Once this is Ready: terraform state rm "
            f"{shlex.quote(address)}, and delete the resource from the code."
        )
    else:
        notes.add(
            "Terraform has not made its image yet: delete the resource from the code before it is "
            "applied, or there will be two images."
        )
    name = _text(values, "name") or address
    kubernetes = kubernetes_name(name) or "image"
    secret = _secret_attributes(resource)
    notes.left_out(secret, "secret in Terraform's state")
    source = _source(values, secret, kubernetes, notes)
    package = _text(values, "container_format") in PACKAGES
    if package and source:
        source = None
        notes.left_out(["source"], "a CloudImage makes no image of this container_format")
    if source is None and not adopted:
        return LeftOut(label, "it has no source that can be written here, and no image to adopt")
    if source is None:
        notes.add("It has no source: a lost image cannot be made again.")
    if region := _region(resource):
        notes.add(f"Its region is {region}: the cloud {wanted.cloud} must have that region_name.")
    spec = {
        "cloudCredentialsRef": wanted.credentials,
        "adopt": {"id": image_id} if adopted else None,
        "source": source,
        "image": _attributes(resource, name, notes),
        "deletionPolicy": "Orphan" if adopted else None,
    }
    return Made(label, kubernetes, image_id or address, present(spec), tuple(notes.found))


def _secret_attributes(resource: Resource) -> list[str]:
    """Return the names of attributes that are set and secret, by Terraform or by their meaning."""
    values, marked = resource.get("values"), _marks(resource)
    values = values if isinstance(values, dict) else {}
    always = ("image_source_username", "image_source_password")
    return [
        name
        for name, value in values.items()
        if value not in (None, "") and (marked.get(name) is True or name in always)
    ]


def _source(
    values: Mapping[str, Any], secret: list[str], name: str, notes: Notes
) -> dict[str, Any] | None:
    url, path = _text(values, "image_source_url"), _text(values, "local_file_path")
    if path:
        notes.add(
            "Terraform uploads it from a file of the machine where it runs. For another build set "
            "spec.source.upload, and run kubectl cloudimage upload FILE --name NAME."
        )
        return None if _text(values, "id") else {"upload": {}}
    if not url:
        return None
    parts = _split(url)
    if parts is None or parts.query or parts.fragment:
        notes.left_out(
            ["image_source_url"],
            "it has a query, which may be secret, or is not a URL; write spec.source.http yourself",
        )
        return None
    _, at, host = parts.netloc.rpartition("@")
    http: dict[str, Any] = {"url": parts._replace(netloc=host).geturl()}
    if at or "image_source_username" in secret or "image_source_password" in secret:
        http["auth"] = {"secretName": f"{name}-source"}
        notes.add(
            f"Its server asks for a user: make the Secret {name}-source with the keys username and "
            "password before you apply this."
        )
    md5 = _text(values, "checksum") or ""
    kept = not (values.get("decompress") or values.get("web_download"))
    if kept and re.fullmatch("[0-9a-f]{32}", md5):
        http["checksum"] = {"md5": md5}
        notes.add(
            "The checksum is the MD5 that Glance has of the image: no other file is taken by "
            "accident. Give the publisher's SHA-256 if there is one."
        )
    else:
        notes.add("It has no checksum: nothing proves its bytes. Add spec.source.http.checksum.")
    return {"http": http}


def _split(url: str) -> Any:  # noqa: ANN401  # urllib's SplitResult
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return parts if parts.scheme in {"http", "https"} and parts.hostname else None


def _attributes(resource: Resource, name: str, notes: Notes) -> dict[str, Any]:
    values = _values(resource)
    marks = _list(_marks(resource), "tags")
    secret = {number for number, mark in enumerate(marks) if mark is True}
    notes.left_out(["a tag"] if secret else [], "secret in Terraform's state")
    tags = [
        each
        for number, each in enumerate(_list(values, "tags"))
        if isinstance(each, str) and number not in secret
    ]
    found = {
        "name": escaped(name),
        "diskFormat": _text(values, "disk_format"),
        "containerFormat": _text(values, "container_format"),
        "visibility": _text(values, "visibility"),
        "minDiskGiB": _number(values, "min_disk_gb"),
        "minRamMiB": _number(values, "min_ram_mb"),
        "protected": True if values.get("protected") is True else None,
        "hidden": True if values.get("hidden") is True else None,
        "tags": sorted({escaped(each) for each in tags}) or None,
        "properties": properties(_properties(resource, notes), notes) or None,
    }
    return present(found)


def _properties(resource: Resource, notes: Notes) -> dict[str, str]:
    given = _values(resource).get("properties")
    marked = _marks(resource).get("properties")
    secret = marked if isinstance(marked, dict) else {}
    found = given if isinstance(given, dict) else {}
    notes.left_out((name for name in found if secret.get(name)), "secret in Terraform's state")
    return {
        name: value
        for name, value in found.items()
        if isinstance(value, str) and not secret.get(name)
    }


def _shares(found: list[Resource], wanted: Wanted) -> Iterator[Result]:
    members: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for each in found:
        label, values = f"Terraform's {each.get('address')}", _values(each)
        if each["type"] == ACCEPT:
            yield LeftOut(
                label,
                "it accepts an image for one project, which stays accepted; spec.projects[]."
                "acceptWith of an ImageShare does the same",
                meant=True,
            )
        elif each["type"] == ACCESS:
            image, member = _text(values, "image_id"), _text(values, "member_id")
            if image and member:
                members[image].append((member, label))
            else:
                yield LeftOut(label, "its image or its project is not known before it is applied")
    for image, projects in members.items():
        spec = {
            "image": {"cloudCredentialsRef": wanted.credentials, "id": image},
            "projects": [{"id": each} for each in sorted({each for each, _ in projects})],
            "deletionPolicy": "Orphan",
        }
        labels = ", ".join(sorted(label for _, label in projects))
        yield Made(labels, f"image-{image}", image, spec, kind="ImageShare")


def _number(given: Mapping[str, Any], name: str) -> int | None:
    value = given.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(given: Mapping[str, Any], name: str) -> str | None:
    value = given.get(name)
    return value if isinstance(value, str) and value else None
