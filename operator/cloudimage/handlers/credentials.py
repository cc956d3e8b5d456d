"""From a CloudImage to the cloud it names, by way of a Secret of its own namespace."""

from http import HTTPStatus

from kubernetes.client import ApiException

from cloudimage.api.cloudimage import CloudImage
from cloudimage.cloud.config import CloudConfig, parse_clouds_yaml
from cloudimage.cloud.errors import CloudError
from cloudimage.handlers.kube import Kube

CLOUDS_YAML = "clouds.yaml"
CA_CERTIFICATE = "cacert"


class SecretNotFoundError(CloudError):
    """The Secret or its key clouds.yaml is not there (yet)."""

    reason = "SecretNotFound"


def load(kube: Kube, resource: CloudImage) -> CloudConfig:
    """Return how to reach the cloud that the resource names.

    Raises:
        SecretNotFoundError: There is no such Secret, key, or right to read it.
        CloudError: clouds.yaml is of no use.
    """
    namespace, ref = resource.metadata.namespace, resource.spec.cloud_credentials_ref
    try:
        secret = kube.read_secret(namespace, ref.secret_name)
    except ApiException as error:
        if error.status == HTTPStatus.FORBIDDEN:
            raise SecretNotFoundError(
                f"the operator's ServiceAccount may not read Secrets in namespace {namespace}"
            ) from error
        raise
    if secret is None:
        raise SecretNotFoundError(
            f"Secret {ref.secret_name} is not in namespace {namespace}; create it with the key "
            f"{CLOUDS_YAML}"
        )
    if CLOUDS_YAML not in secret:
        raise SecretNotFoundError(f"Secret {ref.secret_name} has no key {CLOUDS_YAML}")
    return parse_clouds_yaml(secret[CLOUDS_YAML], ref.cloud_name, secret.get(CA_CERTIFICATE))
