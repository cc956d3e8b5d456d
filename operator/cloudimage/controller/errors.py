"""Errors of looking up an image that a spec names."""

from cloudimage.api.reasons import Reason
from cloudimage.cloud.errors import CloudError


class ImageNotFoundError(CloudError):
    """No image is the one that the spec names."""

    reason = Reason.IMAGE_NOT_FOUND


class SourceUnreachableError(CloudError):
    """The cloud of the source does not answer."""

    reason = Reason.SOURCE_UNREACHABLE


class SourceNotFoundError(CloudError):
    """No image is the one that the source names."""

    reason = Reason.SOURCE_NOT_FOUND


class AmbiguousSourceError(CloudError):
    """More than one image is; what was made of the source before still serves."""

    reason = Reason.SOURCE_AMBIGUOUS


class AmbiguousError(CloudError):
    """More than one image is."""

    reason = Reason.AMBIGUOUS
