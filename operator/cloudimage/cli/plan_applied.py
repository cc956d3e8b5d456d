"""What a CloudImage would be once its manifest is applied."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, Final

from kubernetes.client import ApiException
from pydantic import ValidationError

from cloudimage.api.cloudimage import CloudImage, CloudImageSpec
from cloudimage.api.kinds import CLOUD_IMAGE
from cloudimage.cli.arguments import Target
from cloudimage.cli.errors import CommandError
from cloudimage.cli.kube_client import Cluster, sentences
from cloudimage.cli.manifests import Manifest

_NO_UID: Final = "00000000-0000-0000-0000-000000000000"
_OWN: Final = ("labels", "annotations")


class AwayError(CommandError):
    """The cluster cannot be asked for the CloudImage, or not by this user."""


@dataclass(frozen=True)
class Applied:
    """A CloudImage before and after its manifest is applied.

    Attributes:
        before: None: it is not there.
        after: With the generation that it would have, and the status that it has.
        changes: The fields that would change, as paths.
        unchecked: Why the API server was not asked, as a sentence; empty: it was.
    """

    before: CloudImage | None
    after: CloudImage
    changes: tuple[str, ...]
    unchecked: str = ""


def by_cluster(manifest: Manifest, cluster: Cluster) -> Applied:
    """Have the API server say what the manifest would make.

    A user who may read CloudImages but not write them gets what our own models say.

    Raises:
        AwayError: The API server does not answer, or not to this user.
        CommandError: It refuses the manifest.
    """
    cluster = replace(cluster, namespace=manifest.namespace)
    target = Target(CLOUD_IMAGE, manifest.name)
    try:
        with sentences(lambda: cluster.server):
            before = cluster.find(target)
    except CommandError as error:
        raise AwayError(str(error)) from error
    with sentences(lambda: cluster.server):
        try:
            after = cluster.dry_run(target, _whole(manifest, before), before)
        except ApiException as error:
            if error.status != HTTPStatus.FORBIDDEN:
                raise
            why = "you may not apply it, so the API server did not check it"
            return by_models(manifest, before, why)
    after["metadata"].setdefault("resourceVersion", "")
    found = None if before is None else CloudImage.model_validate(before)
    return Applied(found, CloudImage.model_validate(after), changes(before, after))


def by_models(manifest: Manifest, before: Mapping[str, Any] | None, why: str) -> Applied:
    """Return what the manifest would make by our models alone, which know no rules over fields.

    Args:
        manifest: What would be applied.
        before: The object as it is, if it is there and known.
        why: The API server was not asked, as a sentence.

    Raises:
        CommandError: The manifest is invalid.
    """
    try:
        spec = CloudImageSpec.model_validate(
            manifest.body.get("spec"), extra="forbid", by_alias=True, by_name=False
        )
    except ValidationError as error:
        said = "; ".join(
            f"{'.'.join(['spec', *map(str, each['loc'])])}: {each['msg']}"
            for each in error.errors(include_url=False, include_input=False)
        )
        raise CommandError(f"CloudImage {manifest.name} is invalid: {said}.") from error
    metadata: dict[str, Any] = {
        "name": manifest.name,
        "namespace": manifest.namespace,
        "uid": _NO_UID,
        "resourceVersion": "",
    }
    body = {**_whole(manifest, before), "spec": spec.to_json()}
    body["metadata"] = {**metadata, **body["metadata"]}
    found = None if before is None else CloudImage.model_validate(before)
    if before is None or found is None:
        return Applied(None, CloudImage.model_validate(body), (), why)
    # By the models both: the API server's defaults are theirs, and sets have no order.
    there = body["spec"] if found.spec == spec else found.spec.to_json()
    changed = changes({**before, "spec": there}, body)
    if found.spec != spec:
        body["metadata"]["generation"] = found.metadata.generation + 1
    return Applied(found, CloudImage.model_validate(body), changed, why)


def _whole(manifest: Manifest, before: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the object with the manifest's spec; labels and annotations of others stay."""
    if before is None:
        return dict(manifest.body)
    given = manifest.body["metadata"]
    metadata = {key: each for key, each in before["metadata"].items() if key != "managedFields"}
    for key in _OWN:
        if isinstance(given.get(key), dict):
            metadata[key] = {**metadata.get(key, {}), **given[key]}
    return {**before, "metadata": metadata, "spec": manifest.body.get("spec")}


def changes(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the paths of the fields that differ: of the spec, labels and annotations."""
    if before is None:
        return ()
    found = list(_differing("spec", before.get("spec"), after.get("spec")))
    for key in _OWN:
        sides = (each["metadata"].get(key) or {} for each in (before, after))
        found += _differing(f"metadata.{key}", *sides)
    return tuple(found)


def _differing(path: str, one: object, other: object) -> Iterator[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted(one.keys() | other.keys()):
            yield from _differing(f"{path}.{key}", one.get(key), other.get(key))
    elif one != other:
        yield path
