"""``cloudimage plan``: what would happen if manifests were applied; nothing is changed.

Decisions are the operator's own functions over what it would see. All that is written is the
record of an image without bytes, by which rights are tried, and it is deleted at once.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from kubernetes.client import ApiClient

from cloudimage.api.cloudimage import CloudImage, ManagementPolicy
from cloudimage.api.references import CloudCredentialsRef
from cloudimage.api.resolved_source import ResolvedSource
from cloudimage.cli import manifests, plan_applied, plan_boot, plan_image, plan_transfer
from cloudimage.cli.arguments import Where
from cloudimage.cli.by_hand import workplace
from cloudimage.cli.connecting import CredentialsError, local_config, secret_config
from cloudimage.cli.errors import CommandError
from cloudimage.cli.kube_client import Cluster, connect, sentences
from cloudimage.cli.manifests import Manifest
from cloudimage.cli.output import say
from cloudimage.cli.plan_applied import Applied
from cloudimage.cli.plan_image import Standing
from cloudimage.cli.plan_report import Finding, Plan
from cloudimage.cli.plan_transfer import Place, Transfer
from cloudimage.cloud.config import CloudConfig
from cloudimage.cloud.connection import Cloud, open_cloud
from cloudimage.cloud.errors import CloudError
from cloudimage.cloud.models import GlanceImage
from cloudimage.controller.reconciler import now
from cloudimage.credentials import loader
from cloudimage.images import resolution
from cloudimage.images.logic import copied_metadata, status, uploads
from cloudimage.images.logic.desired import Desired
from cloudimage.kube import Key, Kube, R, Secret
from cloudimage.transfer import contract
from cloudimage.transfer.contract import Reason, TransferError


@dataclass(frozen=True)
class Options:
    """How to ask.

    Attributes:
        local: The cloud of the user's own clouds.yaml to take; None: what the CloudImages name.
        probe: Whether rights are tried on a record.
    """

    local: str | None
    probe: bool


@dataclass(frozen=True)
class _UsersKube(Kube):
    """The operator's requests made by the user, to whom their failures are said.

    Attributes:
        why_none: Why there is no cluster to ask, as a sentence; empty: there is one.
    """

    why_none: str = ""

    @contextmanager
    def _asked(self) -> Iterator[None]:
        if self.why_none:
            raise CommandError(self.why_none)
        with sentences(lambda: str(self.client.configuration.host)):
            yield

    def read(self, model: type[R], key: Key) -> R | None:
        with self._asked():
            return super().read(model, key)

    def read_all(self, model: type[R], namespaces: Iterable[str] | None = None) -> list[R]:
        with self._asked():
            return super().read_all(model, namespaces)

    def read_secret(self, namespace: str, name: str) -> Secret | None:
        with self._asked():
            return super().read_secret(namespace, name)

    def read_config_map(self, namespace: str, name: str) -> Mapping[str, str] | None:
        with self._asked():
            return super().read_config_map(namespace, name)


@dataclass(frozen=True)
class _Desk:
    """What each plan needs.

    Attributes:
        cluster: None: it cannot be asked, as ``kube`` says.
    """

    options: Options
    place: Place
    cluster: Cluster | None
    kube: _UsersKube


def run(files: Sequence[str], where: Where, options: Options) -> list[Plan]:
    """Return the plans of the CloudImages in files, in their order.

    Raises:
        CommandError: A file cannot be read, or the cluster cannot be asked.
    """
    bodies = [each for place in files for each in manifests.read(place)]
    for each in bodies:
        if not manifests.is_cloud_image(each):
            say(f"{manifests.label(each)} is passed over: only CloudImages are planned", err=True)
    cluster, kube = _cluster(where, options)
    default = (cluster.namespace if cluster else None) or "default"
    wanted = [
        manifests.manifest(each, where.namespace, default)
        for each in bodies
        if manifests.is_cloud_image(each)
    ]
    try:
        with workplace(None, contract.Limits()) as (folder, cache, interrupts):
            desk = _Desk(options, Place(folder, cache, interrupts), cluster, kube)
            return [_plan(each, desk) for each in wanted]
    except TransferError as error:
        raise CommandError(error.message) from error


def _cluster(where: Where, options: Options) -> tuple[Cluster | None, _UsersKube]:
    """Return the cluster; none where there is no kubeconfig and the user's own cloud is enough."""
    try:
        with sentences():
            cluster = connect(where)
    except CommandError as error:
        if options.local is None:
            raise
        return None, _UsersKube(ApiClient(), why_none=str(error))
    return cluster, _UsersKube(cluster.client)


def _plan(manifest: Manifest, desk: _Desk) -> Plan:
    found = tuple(_guarded("CloudImage", lambda: _findings(manifest, desk)))
    return Plan(manifest.namespace, manifest.name, found)


def _guarded(what: str, step: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """Yield what a step finds, and at its end why it fails if it does."""
    try:
        yield from step()
    except TransferError as error:
        text, data = f"{error.reason}: {error.message}", {"reason": str(error.reason)}
        yield Finding(what, "error", text, data)
    except CloudError as error:
        yield Finding(what, "error", f"{error.reason}: {error}", {"reason": str(error.reason)})
    except (CommandError, CredentialsError) as error:
        yield Finding(what, "error", str(error))


def _findings(manifest: Manifest, desk: _Desk) -> Iterator[Finding]:
    applied = _applied(manifest, desk)
    yield _of_object(applied)
    if applied.unchecked:
        yield Finding("CloudImage", "unknown", applied.unchecked)
    if applied.after.metadata.deletion_timestamp is not None:
        yield Finding("image", "ok", "the CloudImage is being deleted; nothing is made")
        return
    yield from _guarded("cloud", lambda: _in_cloud(applied, desk))


def _applied(manifest: Manifest, desk: _Desk) -> Applied:
    if desk.cluster is None:
        return plan_applied.by_models(manifest, None, desk.kube.why_none)
    try:
        return plan_applied.by_cluster(manifest, desk.cluster)
    except plan_applied.AwayError as error:
        if desk.options.local is None:
            raise
        return plan_applied.by_models(manifest, None, str(error))


def _of_object(applied: Applied) -> Finding:
    if applied.before is None:
        return Finding("CloudImage", "change", "it is created", {"changes": ["spec"]})
    data: dict[str, Any] = {"changes": list(applied.changes)}
    if not applied.changes:
        return Finding("CloudImage", "ok", "it is so already", data)
    return Finding("CloudImage", "change", f"changed are {', '.join(applied.changes)}", data)


def _in_cloud(applied: Applied, desk: _Desk) -> Iterator[Finding]:
    resource, config = applied.after, _config(applied.after, desk)
    with open_cloud(config) as cloud:
        if resource.spec.management_policy is ManagementPolicy.UNMANAGED:
            yield from _guarded("image", lambda: [plan_image.observed(resource, cloud.glance)])
            return
        yield from _guarded("image", lambda: _managed(applied, config, cloud, desk))


def _config(resource: CloudImage, desk: _Desk) -> CloudConfig:
    if desk.options.local is not None:
        return local_config(desk.options.local)
    if desk.cluster is None:
        raise ValueError("unreachable: without a cluster the user's own cloud is taken")
    ref, namespace = resource.spec.cloud_credentials_ref, resource.metadata.namespace
    with sentences():
        cluster = replace(desk.cluster, namespace=namespace)
        return secret_config(cluster, ref.secret_name, ref.cloud_name)


def _managed(applied: Applied, config: CloudConfig, cloud: Cloud, desk: _Desk) -> Iterator[Finding]:
    try:
        resource, desired = _resolved(applied.after, cloud, desk)
        applied = replace(applied, after=resource)
    except ValueError as error:
        raise CommandError(str(error)) from error
    yield from plan_image.followed(resource, desired)
    if over := list(plan_image.failed_for_good(resource, desired)):
        yield from over
        return
    stands = plan_image.standing(applied, desired, cloud, desk.kube)
    resource = _with_metadata(resource, stands, cloud, desk)
    if stands.owned.current is not None:
        yield from _kept(resource, stands, stands.owned.current, config, desk)
    elif plan_image.is_under_way(resource, desired):
        yield plan_image.under_way(resource)
        return
    else:
        yield plan_image.made(applied, stands.owned)
        steps = partial(_made, resource, desired, stands, config, cloud, desk)
        yield from _guarded("source", steps)
    yield from _guarded("earlier image", lambda: plan_image.earlier(resource, stands.owned, cloud))


def _opener(resource: CloudImage, desk: _Desk) -> resolution.Opener:
    """Return what opens the cloud of a source."""

    def opened(ref: CloudCredentialsRef) -> AbstractContextManager[Cloud]:
        if desk.cluster is None:
            raise CommandError(f"Secret {ref.secret_name} of the source cannot be read here.")
        cluster = replace(desk.cluster, namespace=resource.metadata.namespace)
        return open_cloud(secret_config(cluster, ref.secret_name, ref.cloud_name))

    return opened


def _resolved(resource: CloudImage, cloud: Cloud, desk: _Desk) -> tuple[CloudImage, Desired]:
    """Return a CloudImage with what its source means now, and what its spec wants."""
    desired = Desired.of(resource.spec, resource.status.resolved_source)
    found = resolution.look_up(resource, desired, cloud, _opener(resource, desk))
    if isinstance(found, ResolvedSource):
        after = resource.status.model_copy(update={"resolved_source": found})
        resource = resource.model_copy(update={"status": after})
        desired = Desired.of(resource.spec, found)
    return resource, desired


def _with_metadata(resource: CloudImage, stands: Standing, cloud: Cloud, desk: _Desk) -> CloudImage:
    """Return a CloudImage with what it would copy of its source's metadata."""
    opened, current = _opener(resource, desk), stands.owned.current
    found = resolution.metadata_of(resource, current, cloud, opened)
    return resource.model_copy(update={"status": status.copied(resource, found)})


def _kept(
    resource: CloudImage, stands: Standing, image: GlanceImage, config: CloudConfig, desk: _Desk
) -> Iterator[Finding]:
    found = list(plan_image.kept(resource, stands, image, desk.kube))
    yield from found
    if any(each.data.get("patch") for each in found):
        yield from _guarded("rights", lambda: _rights_to_change(resource, config, desk))
    yield from plan_boot.tested(resource, image, now())


def _rights_to_change(resource: CloudImage, config: CloudConfig, desk: _Desk) -> Iterator[Finding]:
    """Yield whether an image may be what the spec wants; a full quota does not matter for that."""
    target = plan_transfer.target_of(resource, config, desk.place)
    try:
        yield from plan_transfer.rights(target, probe=desk.options.probe)
    except TransferError as error:
        if error.reason is not Reason.QUOTA_EXCEEDED:
            raise
        yield Finding("rights", "unknown", f"they cannot be tried: {error.message}")


def _made(  # noqa: PLR0913, PLR0917 - what a look found, each from elsewhere
    resource: CloudImage,
    desired: Desired,
    stands: Standing,
    config: CloudConfig,
    cloud: Cloud,
    desk: _Desk,
) -> Iterator[Finding]:
    probe, target = desk.options.probe, plan_transfer.target_of(resource, config, desk.place)
    yield from _guarded("rights", lambda: plan_transfer.rights(target, probe=probe))
    if uploads.is_awaited(desired):
        yield Finding("source", "ok", f"a person uploads it: {uploads.command(resource)}")
        return
    try:
        texts = _texts(resource, desired, desk)
        planned = Transfer.of(resource, desired, stands.owned, config, texts, target, desk.place)
    except CommandError as error:
        if desk.options.local is None:
            raise
        yield Finding("source", "unknown", f"it is not looked at: {error}")
        return
    if said := copied_metadata.sentence(resource):
        yield Finding("metadata", "ok", said)
    yield from _guarded("source", planned.source)
    yield from _guarded("method", planned.method)
    yield from _guarded("quota", lambda: planned.quota(cloud.glance))
    yield from plan_boot.tested(resource, None, now())


def _texts(resource: CloudImage, desired: Desired, desk: _Desk) -> contract.Texts:
    references = desired.source.references() if desired.source else ()
    namespace = resource.metadata.namespace
    # Whether a Secret has to name its hosts is a setting of the operator.
    return loader.load_texts(desk.kube, namespace, references, hosts_demanded=False)
