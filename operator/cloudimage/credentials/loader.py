"""Loads the cloud that a CloudImage names, from a Secret of its own namespace."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import TypeVar

from kubernetes.client import ApiException

from cloudimage.api.cloudimage import CloudCredentialsRef, CloudImage, http_source
from cloudimage.api.meta import Resource
from cloudimage.api.source import HttpSource, TextReference
from cloudimage.cloud.config import CloudConfig, Origin, parse_clouds_yaml
from cloudimage.cloud.errors import CloudError
from cloudimage.credentials.logic import guard, source_hosts
from cloudimage.credentials.logic.source import SourceTexts, http_auth
from cloudimage.kube import Kube, Secret
from cloudimage.transfer.contract import HttpAuth

CLOUDS_YAML = "clouds.yaml"
CA_CERTIFICATE = "cacert"

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


def load_source(kube: Kube, resource: CloudImage, *, hosts_demanded: bool) -> SourceTexts:
    """Return what the references of the resource's source lead to.

    Args:
        kube: To read them.
        resource: The resource.
        hosts_demanded: Whether a Secret must say for which hosts it is.

    Raises:
        SecretNotFoundError: A Secret or its key is not there.
        SecretNotForHostError: The Secret of ``auth`` is not for a host of the source.
        ConfigMapNotFoundError: A ConfigMap or its key is not there.
    """
    namespace, http = resource.metadata.namespace, http_source(resource.spec)
    signature = http.checksum.signature if http.checksum else None
    return SourceTexts(
        auth=_auth(kube, namespace, http, demanded=hosts_demanded),
        ca_certificate=_text(kube, namespace, http.ca_certificate) if http.ca_certificate else None,
        keyring=_text(kube, namespace, signature.keyring) if signature else None,
    )


def _auth(kube: Kube, namespace: str, http: HttpSource, *, demanded: bool) -> HttpAuth | None:
    if http.auth is None:
        return None
    secret = _secret(kube, namespace, http.auth.secret_name)
    # All of them: each mirror gets the credentials.
    urls = (http.url, *(http.mirrors or ()))
    if said := source_hosts.complaint(secret.name, secret.hosts, urls, demanded=demanded):
        raise SecretNotForHostError(said)
    return http_auth(secret.texts)


def _text(kube: Kube, namespace: str, reference: TextReference) -> str:
    if reference.secret is not None:
        ref, texts = reference.secret, _secret(kube, namespace, reference.secret.name).texts
        missing: type[CloudError] = SecretNotFoundError
    elif reference.config_map is not None:
        ref, texts = reference.config_map, _config_map(kube, namespace, reference.config_map.name)
        missing = ConfigMapNotFoundError
    else:
        raise ValueError("unreachable: the CRD demands one of them")
    if ref.key not in texts:
        raise missing(f"{ref.name} in namespace {namespace} has no key {ref.key}")
    return texts[ref.key]


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
