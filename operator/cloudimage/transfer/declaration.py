"""What a request says of its bytes, before any of them come; pure."""

from cloudimage.transfer.contract import NewImage, Reason, TransferError
from cloudimage.transfer.request import TransferRequest
from cloudimage.vocabulary.image import NOT_DISKS, PACKAGES, DiskFormat


def settled(request: TransferRequest) -> TransferRequest:
    """Return the request with the format of its source that the wanted image declares.

    Nothing in a kernel, a ramdisk or a file system for them says what Glance calls it, and nothing
    is converted to them: an image that is wanted as one is made of a source that is one.

    Raises:
        TransferError: ``UnsupportedFormat`` for a container format that no image made here has;
            ``InvalidImage`` for formats that Glance refuses together.
    """
    image, source = request.image, request.source
    if image.container_format in PACKAGES:
        raise TransferError(
            Reason.UNSUPPORTED_FORMAT,
            f"the container format {image.container_format} is not supported: the image would be a "
            "plain disk with a wrong label. Set spec.image.containerFormat to bare",
        )
    declared = _declared(image)
    if declared is None:
        return request
    formats = {image.container_format, image.disk_format or declared}
    if formats != {declared} or source.format not in {None, declared}:
        raise TransferError(
            Reason.INVALID_IMAGE,
            f"an image of {declared} must be that in all of its formats; set "
            f"spec.image.diskFormat, spec.image.containerFormat and the source's format to "
            f"{declared}",
        )
    return request.model_copy(update={"source": source.model_copy(update={"format": declared})})


def _declared(image: NewImage) -> DiskFormat | None:
    named = {image.disk_format, image.container_format}
    return next((each for each in sorted(NOT_DISKS) if each in named), None)
