"""Which Secrets must stay because an object could not be deleted without them."""

from cloudimage.api.cloudimage import CloudImage, ManagementPolicy
from cloudimage.api.imageshare import ImageShare
from cloudimage.api.meta import Resource, ResourceStatus
from cloudimage.api.names import FINALIZER, FORCE_DELETE_ANNOTATION
from cloudimage.api.references import CloudCredentialsRef


def credentials_of(resource: Resource) -> CloudCredentialsRef:
    """Return the credentials that the object names for its own part of the cloud.

    Raises:
        ValueError: It names none: an ImageShare of a CloudImage uses those of that.
    """
    found = _credentials_of(resource)
    if found is None:
        raise ValueError(f"{resource.metadata.name} has no credentials of its own")
    return found


def _credentials_of(resource: Resource) -> CloudCredentialsRef | None:
    match resource:
        case CloudImage():
            return resource.spec.cloud_credentials_ref
        case ImageShare():
            return resource.spec.image.cloud_credentials_ref if resource.spec.image else None
    raise ValueError(f"a kind without credentials: {type(resource)}")


def named(resource: Resource) -> frozenset[str]:
    """Return the names of the Secrets with credentials that were ever held for the object."""
    ref = _credentials_of(resource)
    recorded = resource.status.credentials_secret
    return frozenset({ref.secret_name if ref else "", recorded or ""} - {""})


def needed(resource: Resource) -> frozenset[str]:
    """Return the names of the Secrets of its namespace that the object needs.

    Without our finalizer it needs none: nothing was made for it yet, or it is no longer deleted.
    """
    if FINALIZER not in resource.metadata.finalizers:
        return frozenset()
    if _is_observed(resource) or (
        resource.metadata.deletion_timestamp and needs_no_cloud(resource)
    ):
        return frozenset()
    return named(resource)


def _is_observed(resource: Resource) -> bool:
    return (
        isinstance(resource, CloudImage)
        and resource.spec.management_policy is ManagementPolicy.UNMANAGED
    )


def needs_no_cloud(resource: Resource) -> bool:
    """Return whether the object may go without a look at the cloud.

    What says so is written before anything is made: without it nothing ever was.
    """
    if resource.metadata.annotations.get(FORCE_DELETE_ANNOTATION) == "true":
        return True
    match resource:
        case CloudImage():
            return resource.status.digest is None
        case ImageShare():
            return not resource.status.projects
    raise ValueError(f"a kind without credentials: {type(resource)}")


def is_to_be_held(resource: Resource, *, held: bool) -> bool:
    """Return whether our finalizer must be put on the Secret of the spec before the cloud is used.

    Not for an object that is being deleted: nothing more is made for it.
    """
    secret = credentials_of(resource).secret_name
    deleting = resource.metadata.deletion_timestamp is not None
    return not held and not deleting and secret in needed(resource)


def outlived(resource: Resource) -> frozenset[str]:
    """Return the Secret, if any, that is held for the object although its spec names another."""
    return named(resource) - {credentials_of(resource).secret_name}


def is_news(resource: Resource) -> bool:
    """Return whether status.credentialsSecret is not yet the Secret of the spec."""
    ref = _credentials_of(resource)
    return ref is not None and resource.status.credentials_secret != ref.secret_name


def recorded(resource: Resource) -> ResourceStatus:
    """Return the status that says which Secret is held for the object."""
    secret = credentials_of(resource).secret_name
    return resource.status.model_copy(update={"credentials_secret": secret})
