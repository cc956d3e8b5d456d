"""Asks for what Glance may refuse before any byte is fetched: rights, names, a full quota.

Only creating an image tells: policies and property protections cannot be read. So a record is made
as the image is to become, hidden and without bytes, and deleted at once.
"""

from typing import Final

from cloudimage.transfer.contract import NewImage, Reason, TransferError
from cloudimage.transfer.glance.image_lifecycle import UploadContext, created, discard
from cloudimage.transfer.glance.quota import Quota, check_quota
from cloudimage.vocabulary.marks import PREFIX

_LEAST_SIZE: Final = 2**20
"""Bytes: a quota that leaves not even one MiB is full."""


def check_rights(target: UploadContext, *, ordinary: bool = False) -> None:
    """See that Glance would take the image.

    Args:
        target: The image, and where it is to be.
        ordinary: Whether an image that asks for nothing special is tried as well: its transfer
            itself finds out soon enough.

    Raises:
        TransferError: ``Forbidden``, ``InvalidImage``, ``QuotaExceeded`` and the cloud's.
    """
    check_quota(target.glance.usage(), {Quota.STORED: _LEAST_SIZE})
    image = target.image
    asked = _asked(image)
    if not ordinary and not asked and all(name.startswith(PREFIX) for name in image.properties):
        return
    try:
        with created(target, image.disk_format or "raw", asked) as identifier:
            discard(target, identifier)
    except TransferError as error:
        if error.reason is not Reason.FORBIDDEN or not asked:
            raise
        wanted = " and ".join(f"{name} {value}" for name, value in asked.items())
        raise TransferError(
            error.reason,
            f"these credentials may not make an image with {wanted}; by default only "
            "administrators may. Nothing was downloaded. Change spec.image, or ask the cloud's "
            f"administrators for the right. {error.message}",
        ) from error


def _asked(image: NewImage) -> dict[str, str]:
    """Return the attributes that need a right; the image has them only after the transfer."""
    given = {"visibility": image.visibility, "owner": image.owner}
    return {name: value for name, value in given.items() if value not in {None, "private"}}
