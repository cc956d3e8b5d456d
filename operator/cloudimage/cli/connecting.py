"""What the commands do around their work: reach the cluster, read credentials, end with words."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING

import click

from cloudimage.cli.arguments import Where
from cloudimage.cli.errors import CommandError
from cloudimage.cli.output import say

if TYPE_CHECKING:
    from cloudimage.api.references import CloudCredentialsRef
    from cloudimage.cli.kube_client import Cluster
    from cloudimage.cloud.config import CloudConfig


class CredentialsError(Exception):
    """A cloud's credentials are not there, or of no use; one finding of several, as a sentence."""


@contextmanager
def told() -> Iterator[None]:
    """End with one sentence and exit status 1 when something fails."""
    try:
        yield
    except CommandError as error:
        say(str(error), err=True)
        raise click.exceptions.Exit(1) from error
    except KeyboardInterrupt:
        raise click.exceptions.Exit(130) from None


@contextmanager
def cluster_of(where: Where) -> "Iterator[Cluster]":
    """Connect to the cluster that the options mean, and tell what fails in the block."""
    from cloudimage.cli import kube_client

    found: kube_client.Cluster | None = None
    with told(), kube_client.sentences(lambda: found.server if found else ""):
        found = kube_client.connect(where)
        yield found


def secret_config(cluster: "Cluster", secret: str, cloud: str) -> "CloudConfig":
    """Return how to reach a cloud by a Secret of the cluster's namespace.

    Raises:
        CredentialsError: The Secret, its key or its cloud is not there, or cannot be used.
    """
    from cloudimage.cloud.config import parse_clouds_yaml
    from cloudimage.cloud.errors import CloudError

    place = f"Secret {secret} in namespace {cluster.namespace}"
    texts = cluster.secret(secret)
    if texts is None or "clouds.yaml" not in texts:
        what = "does not exist; create it" if texts is None else "has no key clouds.yaml"
        raise CredentialsError(f"{place} {what}")
    try:
        return parse_clouds_yaml(texts["clouds.yaml"], cloud, texts.get("cacert"))
    except CloudError as error:
        raise CredentialsError(f"{place}: {error}") from error


def local_config(cloud: str) -> "CloudConfig":
    """Return how to reach a cloud by the user's own clouds.yaml.

    Raises:
        CredentialsError: It does not have the cloud, or the entry cannot be used.
    """
    from cloudimage.access.local import LocalCloudError, find
    from cloudimage.cloud.config import CloudConfig

    try:
        return CloudConfig(*find(cloud))
    except LocalCloudError as error:
        raise CredentialsError(str(error)) from error


def own_config(cloud: str) -> "CloudConfig":
    """Return the same, for a command that cannot go on without it.

    Raises:
        CommandError: As for :func:`local_config`.
    """
    try:
        return local_config(cloud)
    except CredentialsError as error:
        raise CommandError(f"{str(error).rstrip('.')}.") from error


def config_of(
    cluster: "Cluster", ref: "CloudCredentialsRef", os_cloud: str | None = None
) -> "CloudConfig":
    """Return how to reach a CloudImage's cloud, by credentials that the user has.

    Args:
        cluster: Where its Secret is: it is taken if the user may read it.
        ref: The cloud, as the CloudImage names it; that of the user's own clouds.yaml else.
        os_cloud: The cloud of the user's own clouds.yaml to take in any case.

    Raises:
        CommandError: The user has no such credentials, or they cannot be used.
    """
    from kubernetes.client import ApiException

    if os_cloud is not None:
        return own_config(os_cloud)
    try:
        return secret_config(cluster, ref.secret_name, ref.cloud_name)
    except CredentialsError as error:
        raise CommandError(f"{str(error).rstrip('.')}.") from error
    except ApiException as error:
        if error.status != HTTPStatus.FORBIDDEN:
            raise
    try:
        return local_config(ref.cloud_name)
    except CredentialsError as error:
        raise CommandError(
            f"You may not read Secret {ref.secret_name}, and {str(error).rstrip('.')}. Name the "
            "cloud of your own clouds.yaml that has the image's project with --os-cloud."
        ) from error
