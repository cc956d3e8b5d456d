"""What is made of an input of ``cloudimage import``: objects, or why not; pure."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from pydantic import ValidationError

from cloudimage.api.admission import refusal
from cloudimage.api.cloudimage import CloudImageSpec
from cloudimage.api.imageshare import ImageShareSpec
from cloudimage.api.meta import ApiModel
from cloudimage.api.names import API_VERSION
from cloudimage.cli.import_urls import has_login
from cloudimage.cli.migrate_all import LONGEST_NAME, kubernetes_name
from cloudimage.templates import escaped
from cloudimage.vocabulary.image import BASE_ATTRIBUTES
from cloudimage.vocabulary.marks import PREFIX

_RESERVED: Final = ("os_glance", PREFIX)
_SHORTEST_DIGEST: Final = 8
_MODELS: Final[Mapping[str, type[ApiModel]]] = {
    "CloudImage": CloudImageSpec,
    "ImageShare": ImageShareSpec,
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is the same of all objects that one run writes.

    Attributes:
        secret: Secret with the cloud's clouds.yaml.
        cloud: Entry in it.
        namespace: None for the one in which the manifest is applied.
        every: How often a followed source is asked; None: nothing is followed.
        disabled: Whether entries that the input has switched off are taken.
        region: Of Terraform's images, those of this region; None: there is only one.
    """

    secret: str
    cloud: str
    namespace: str | None = None
    every: str | None = "24h"
    disabled: bool = False
    region: str | None = None

    @property
    def credentials(self) -> dict[str, str]:
        """The reference to the cloud."""
        return {"secretName": self.secret, "cloudName": self.cloud}


@dataclass(frozen=True, slots=True)
class Made:
    """An object that is written.

    Attributes:
        label: What the input calls it.
        name: What it is called in Kubernetes, as far as that is a name there and free.
        key: What tells it from others of that name, the same at each run.
        spec: Its spec.
        notes: What the user has to know before it is applied, as sentences.
        kind: Its kind.
    """

    label: str
    name: str
    key: str
    spec: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    kind: str = "CloudImage"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An entry of which nothing is made.

    Attributes:
        label: What the input calls it.
        why: Why, as the end of a sentence, with what to do.
        meant: Whether the input itself says so, so that nothing is missing.
    """

    label: str
    why: str
    meant: bool = False


Result = Made | LeftOut


@dataclass
class Notes:
    """Sentences about one entry, as they are found."""

    found: list[str] = field(default_factory=list)

    def add(self, sentence: str) -> None:
        """Record a sentence."""
        self.found.append(sentence)

    def left_out(self, names: Iterable[str], why: str) -> None:
        """Record fields that are left out, if there are any."""
        if given := sorted(names):
            self.add(f"Left out: {', '.join(given)}: {why}.")


def properties(given: Mapping[str, str], notes: Notes) -> dict[str, str]:
    """Return the properties that a CloudImage can have, as templates; others go to the notes."""
    kept: dict[str, str] = {}
    for name, value in sorted(given.items()):
        if name in BASE_ATTRIBUTES or name.startswith(_RESERVED):
            notes.left_out([name], "Glance or the operator sets this property")
        elif why := refusal(name, value):
            notes.left_out([name], f"this property {why}")
        elif has_login(value):
            notes.left_out([name], "this property is a URL with a user or a password")
        else:
            kept[name] = escaped(value)
    return kept


def present(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is not None."""
    return {name: value for name, value in given.items() if value is not None}


def checked(results: Iterable[Result]) -> Iterator[Result]:
    """Yield the results; of an object that our own API refuses, why."""
    for each in results:
        if isinstance(each, LeftOut) or (why := _complaint(each)) is None:
            yield each
        else:
            yield LeftOut(each.label, why)


def _complaint(made: Made) -> str | None:
    try:
        _MODELS[made.kind].model_validate(made.spec)
    except ValidationError as error:
        # The value itself is not quoted: it may be secret.
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        return f"spec.{place}: {first['msg'].removeprefix('Value error, ')}"
    return None


def named(results: Iterable[Result]) -> Iterator[Result]:
    """Yield the results, each object with another name that Kubernetes takes.

    The first one keeps a name that others want as well; what is there twice is left out.
    """
    taken: set[tuple[str, str]] = set()
    keys: set[tuple[str, str, str]] = set()
    for each in results:
        if isinstance(each, LeftOut):
            yield each
            continue
        base = kubernetes_name(each.name) or "image"
        if (each.kind, base, each.key) in keys:
            yield LeftOut(each.label, "the input has the same entry twice", meant=True)
            continue
        keys.add((each.kind, base, each.key))
        name = _free(base, each, taken)
        taken.add((each.kind, name))
        yield replace(each, name=name)


def _free(base: str, made: Made, taken: set[tuple[str, str]]) -> str:
    if (made.kind, base) not in taken:
        return base
    digest = hashlib.sha256(made.key.encode(errors="replace")).hexdigest()
    for length in range(_SHORTEST_DIGEST, LONGEST_NAME - 1):
        name = f"{base[: LONGEST_NAME - length - 1].rstrip('-.')}-{digest[:length]}"
        if (made.kind, name) not in taken:
            return name
    raise ValueError("unreachable: no other entry has this digest")


def linked(results: Sequence[Result]) -> Iterator[Result]:
    """Yield the results, in which an ImageShare of an adopted image names its CloudImage."""
    images = {
        each.spec["adopt"]["id"]: each.name
        for each in results
        if isinstance(each, Made) and "adopt" in each.spec
    }
    for each in results:
        shared = each.spec.get("image", {}).get("id") if isinstance(each, Made) else None
        if isinstance(each, Made) and each.kind == "ImageShare" and shared in images:
            name = images[shared]
            kept = {key: value for key, value in each.spec.items() if key != "image"}
            yield replace(each, name=name, spec={"imageRef": {"name": name}, **kept})
        else:
            yield each


def manifest(made: Made, namespace: str | None) -> dict[str, Any]:
    """Return the whole object."""
    metadata = {"name": made.name} | ({"namespace": namespace} if namespace else {})
    return {
        "apiVersion": API_VERSION,
        "kind": made.kind,
        "metadata": metadata,
        "spec": dict(made.spec),
    }
