"""What the transfer of an image is asked for when it starts."""

from cloudimage.api.cloudimage import CloudImage
from cloudimage.cloud.config import CloudConfig
from cloudimage.credentials.lending import lend
from cloudimage.images.logic import (
    follow_schedule,
    follow_status,
    revisions,
    transfer_request,
)
from cloudimage.images.logic.desired import Desired
from cloudimage.images.logic.owned_images import OwnedImages
from cloudimage.settings import Settings
from cloudimage.transfer import contract
from cloudimage.transfer.request import TransferRequest


def request_for(  # noqa: PLR0913, PLR0917 - what a look found, each from elsewhere
    resource: CloudImage,
    desired: Desired,
    owned: OwnedImages,
    config: CloudConfig,
    texts: contract.Texts,
    settings: Settings,
    login: str | None,
) -> TransferRequest:
    """Return the request for the transfer that makes an object's image.

    Args:
        resource: The CloudImage, with the status that says that the transfer starts.
        desired: What its spec wants.
        owned: How its images stand.
        config: The credentials of its cloud.
        texts: What its Secrets and ConfigMaps say.
        settings: The operator's.
        login: The state of its login by these credentials, if there is one.
    """
    if desired.source is None:
        raise ValueError("unreachable: without a source an image is only adopted")
    secret_uid = config.origin.secret_uid if config.origin else None
    name = revisions.name_to_begin_with(resource, owned)
    return TransferRequest(
        source=desired.source.request().with_texts(texts),
        image=transfer_request.new_image(resource, desired, name, secret_uid),
        cloud=lend(config, login),
        scratch=settings.scratch,
        cache=settings.scratch / "cache",
        method=transfer_request.method(resource.spec),
        pinned=revisions.to_be_met(resource, desired),
        version=follow_status.version_to_be_met(resource, desired),
        list_age=follow_schedule.kept_age(resource),
        policy=settings.policy,
        cloud_policy=settings.cloud_policy,
        limits=transfer_request.limits(resource.spec, settings.limits),
        lint=transfer_request.lint_mode(resource.spec),
        customize=transfer_request.customize(resource.spec, texts),
        appliance=settings.appliance,
    )
