"""Loads the cloud that a CloudImage names, from a Secret of its own namespace."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import TypeVar

from kubernetes.client import ApiException

from cloudimage.access.clouds_yaml import CA_CERTIFICATE, CLOUDS_YAML
from cloudimage.api.meta import Resource
from cloudimage.api.references import CloudCredentialsRef
from cloudimage.cloud.config import CloudConfig, Origin, parse_clouds_yaml
from cloudimage.cloud.errors import CloudError
from cloudimage.credentials.logic import guard, source_hosts
from cloudimage.kube import Kube, Secret
from cloudimage.sources.base import Reference
from cloudimage.transfer.contract import TEXT, Texts

T = TypeVar("T")


class SecretNotFoundError(CloudError):
    """The Secret or its key clouds.yaml is not there (yet)."""

    reason = "SecretNotFound"


class SecretNotForHostError(CloudError):
    """The Secret says that it is for other hosts than the source's."""

    reason = "SecretNotForHost"


class ConfigMapNotFoundError(CloudError):
    """The ConfigMap or its key is not there (yet)."""

    reason = "ConfigMapNotFound"


def load(kube: Kube, resource: Resource) -> CloudConfig:
    """Return how to reach the cloud that the resource names.

    The Secret of an object that needs it is held from then on: it stays until
    :class:`cloudimage.credentials.guard.SecretGuard` releases it.

    Raises:
        SecretNotFoundError: There is no such Secret, key, or right to read or to hold it.
        CloudError: clouds.yaml is of no use.
    """
    ref = guard.credentials_of(resource)
    secret = _secret(kube, resource.metadata.namespace, ref.secret_name)
    config = _config(secret, ref)
    if guard.is_to_be_held(resource, held=secret.held):
        secret = _held(kube, secret)
    return replace(config, origin=_origin(secret, ref))


def load_other(kube: Kube, namespace: str, ref: CloudCredentialsRef) -> CloudConfig:
    """Return how to reach a cloud by credentials that nothing is undone with: they are not held.

    Raises:
        SecretNotFoundError: There is no such Secret, key, or right to read it.
        CloudError: clouds.yaml is of no use.
    """
    secret = _secret(kube, namespace, ref.secret_name)
    return replace(_config(secret, ref), origin=_origin(secret, ref))


def _config(secret: Secret, ref: CloudCredentialsRef) -> CloudConfig:
    if CLOUDS_YAML not in secret.texts:
        raise SecretNotFoundError(f"Secret {ref.secret_name} has no key {CLOUDS_YAML}")
    certificate = secret.texts.get(CA_CERTIFICATE)
    return parse_clouds_yaml(secret.texts[CLOUDS_YAML], ref.cloud_name, certificate)


def _origin(secret: Secret, ref: CloudCredentialsRef) -> Origin:
    return Origin(secret.namespace, secret.name, secret.version, ref.cloud_name)


def _held(kube: Kube, secret: Secret) -> Secret:
    try:
        held = kube.hold_secret(secret, held=True)
    except ApiException as error:
        if error.status == HTTPStatus.FORBIDDEN:
            raise SecretNotFoundError(
                f"the operator's ServiceAccount may not patch Secret {secret.name} in namespace "
                f"{secret.namespace}; this right is needed to keep the Secret until the image can "
                "be deleted"
            ) from error
        raise
    if held is None:
        raise SecretNotFoundError(
            f"Secret {secret.name} in namespace {secret.namespace} is being deleted; create it "
            "again to continue"
        )
    return held


def load_texts(
    kube: Kube, namespace: str, references: Iterable[Reference], *, hosts_demanded: bool
) -> Texts:
    """Return what the references of a source lead to.

    Args:
        kube: To read them.
        namespace: Where they are.
        references: The source's.
        hosts_demanded: Whether a Secret must say for which hosts it is.

    Raises:
        SecretNotFoundError: A Secret or its key is not there.
        SecretNotForHostError: A Secret is not for a host that it would be sent to.
        ConfigMapNotFoundError: A ConfigMap or its key is not there.
    """
    return {
        each.name: _texts(kube, namespace, each, demanded=hosts_demanded) for each in references
    }


def _texts(
    kube: Kube, namespace: str, reference: Reference, *, demanded: bool
) -> Mapping[str, str]:
    missing: type[CloudError]
    if reference.kind == "Secret":
        secret, missing = _secret(kube, namespace, reference.target), SecretNotFoundError
        texts = secret.texts
        said = reference.urls and source_hosts.complaint(
            secret.name, secret.hosts, reference.urls, demanded=demanded
        )
        if said:
            raise SecretNotForHostError(said)
    else:
        texts, missing = _config_map(kube, namespace, reference.target), ConfigMapNotFoundError
    if reference.key is None:
        return texts
    if reference.key not in texts:
        raise missing(f"{reference.target} in namespace {namespace} has no key {reference.key}")
    return {TEXT: texts[reference.key]}


def _secret(kube: Kube, namespace: str, name: str) -> Secret:
    return _found(kube.read_secret, "Secret", namespace, name, SecretNotFoundError)


def _config_map(kube: Kube, namespace: str, name: str) -> Mapping[str, str]:
    return _found(kube.read_config_map, "ConfigMap", namespace, name, ConfigMapNotFoundError)


def _found(
    read: Callable[[str, str], T | None],
    kind: str,
    namespace: str,
    name: str,
    missing: type[CloudError],
) -> T:
    try:
        found = read(namespace, name)
    except ApiException as error:
        if error.status == HTTPStatus.FORBIDDEN:
            raise missing(
                f"the operator's ServiceAccount may not read {kind} {name} in namespace {namespace}"
            ) from error
        raise
    if found is None:
        raise missing(
            f"{kind} {name} does not exist in namespace {namespace}; create it to continue"
        )
    return found
