"""Which Secrets must stay, because an object could not be deleted without them."""

from cloudimage.api.cloudimage import CloudImage, ManagementPolicy
from cloudimage.api.meta import FINALIZER
from cloudimage.reconcile import deletion


def named(resource: CloudImage) -> frozenset[str]:
    """Return the names of the Secrets with credentials that were ever held for the object."""
    recorded = resource.status.credentials_secret
    return frozenset({resource.spec.cloud_credentials_ref.secret_name, recorded or ""} - {""})


def needed(resource: CloudImage) -> frozenset[str]:
    """Return the names of the Secrets of its namespace that the object needs.

    Without our finalizer it needs none: nothing was made for it yet, or nobody deletes it any more.
    """
    if FINALIZER not in resource.metadata.finalizers:
        return frozenset()
    if resource.spec.management_policy is ManagementPolicy.UNMANAGED:
        return frozenset()
    if resource.metadata.deletion_timestamp and deletion.needs_no_cloud(resource):
        return frozenset()
    return named(resource)


def is_to_be_held(resource: CloudImage, *, held: bool) -> bool:
    """Tell whether our finalizer must be put on the Secret of the spec before the cloud is used.

    Not for an object that is being deleted: nothing is made for it any more.
    """
    secret = resource.spec.cloud_credentials_ref.secret_name
    deleting = resource.metadata.deletion_timestamp is not None
    return not held and not deleting and secret in needed(resource)


def outlived(resource: CloudImage) -> frozenset[str]:
    """Return the Secret, if any, that is held for the object although its spec names another."""
    return named(resource) - {resource.spec.cloud_credentials_ref.secret_name}


def is_news(resource: CloudImage) -> bool:
    """Tell whether status.credentialsSecret is not yet the Secret of the spec."""
    secret = resource.spec.cloud_credentials_ref.secret_name
    return resource.status.credentials_secret != secret
