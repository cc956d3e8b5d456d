"""Errors of looking up an image that a spec names."""

from cloudimage.api.reasons import Reason
from cloudimage.cloud.errors import CloudError


class ImageNotFoundError(CloudError):
    """No image is the one that the spec names."""

    reason = Reason.IMAGE_NOT_FOUND


class AmbiguousError(CloudError):
    """More than one image is."""

    reason = Reason.AMBIGUOUS
