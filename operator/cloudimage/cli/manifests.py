"""Manifests out of files and standard input, as ``kubectl apply -f`` takes them."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any, Final

import yaml

from cloudimage.api.kinds import CLOUD_IMAGE
from cloudimage.api.names import API_VERSION
from cloudimage.cli.errors import CommandError

MAX_BYTES: Final = 8 * 2**20
"""Of one file; the API server takes objects of up to 3 MiB."""

MAX_VALUES: Final = 200_000
"""Of one file, counted where aliases repeat them."""


@dataclass(frozen=True)
class Manifest:
    """A CloudImage as a user wrote it.

    Attributes:
        namespace: Where it goes.
        body: The whole object, with that namespace.
    """

    namespace: str
    name: str
    body: Mapping[str, Any]


def read(place: str) -> list[Mapping[str, Any]]:
    """Return the objects of a file, or of standard input for ``-``; those of lists one by one.

    Raises:
        CommandError: It cannot be read, or is no YAML or JSON with Kubernetes objects.
    """
    try:
        text = _text(place)
        documents = list(islice(yaml.safe_load_all(text), MAX_VALUES))
    except OSError as error:
        raise CommandError(f"{place} cannot be read: {error.strerror}.") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" near line {mark.line + 1}" if mark else ""
        what = str(getattr(error, "problem", "") or "").strip()
        raise CommandError(f"{place} is not valid YAML{line}: {what or error}.") from error
    _check_amount(place, documents)
    return [each for document in documents for each in _objects(place, document)]


def _text(place: str) -> str:
    if place == "-":
        return _bounded(place, sys.stdin.buffer)
    with Path(place).open("rb") as file:
        return _bounded(place, file)


def _bounded(place: str, file: IO[bytes]) -> str:
    content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise CommandError(f"{place} is larger than {MAX_BYTES // 2**20} MiB.")
    return content.decode("utf-8-sig")


def _check_amount(place: str, documents: Iterable[object]) -> None:
    """Refuse what a few aliases make endless."""
    todo, seen = list(documents), 0
    while todo:
        value = todo.pop()
        seen += 1
        if seen > MAX_VALUES:
            raise CommandError(f"{place} has more than {MAX_VALUES} values.")
        if isinstance(value, dict):
            todo += value.values()
        elif isinstance(value, list):
            todo += value


def _objects(place: str, document: object) -> Iterator[Mapping[str, Any]]:
    if document is None:  # between two lines of ---
        return
    if not isinstance(document, dict) or not isinstance(document.get("kind"), str):
        raise CommandError(f"{place} has a document that is no Kubernetes object: it has no kind.")
    items = document.get("items")
    if document["kind"].endswith("List") and isinstance(items, list):
        for each in items:
            yield from _objects(place, each)
        return
    yield document


def is_cloud_image(body: Mapping[str, Any]) -> bool:
    """Return whether an object is a CloudImage of the version that is known here."""
    return body["kind"] == CLOUD_IMAGE.name and body.get("apiVersion") == API_VERSION


def label(body: Mapping[str, Any]) -> str:
    """Return an object's kind and name, for people."""
    metadata = body.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return f"{body['kind']} {name or '(no name)'}"


def manifest(body: Mapping[str, Any], given: str | None, default: str) -> Manifest:
    """Return a CloudImage with the namespace that it goes to.

    Args:
        body: The object.
        given: The namespace of the command line, if any.
        default: That of the context.

    Raises:
        CommandError: It has no name, or another namespace than the command line.
    """
    metadata = body.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    name, own = metadata.get("name"), metadata.get("namespace")
    if not isinstance(name, str) or not name:
        raise CommandError("A CloudImage has no metadata.name; apply needs one.")
    if own is not None and not isinstance(own, str):
        raise CommandError(f"CloudImage {name}: metadata.namespace is not a text.")
    if given and own and own != given:
        raise CommandError(
            f"CloudImage {name} is of namespace {own}, but --namespace is {given}: leave one out."
        )
    namespace = own or given or default
    return Manifest(namespace, name, {**body, "metadata": {**metadata, "namespace": namespace}})
