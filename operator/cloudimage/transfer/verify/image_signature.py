"""The signature that Glance itself checks, of the bytes that it stores: ``img_signature``.

https://docs.openstack.org/glance/latest/user/signature.html
"""

from collections.abc import Mapping
from typing import Final

from cloudimage.transfer.contract import Reason, TransferError

SIGNATURE: Final = "img_signature"

_NO_CERTIFICATE: Final = "Unable to retrieve certificate"
"""Of what cursive, Glance's library, says when the key manager does not answer."""


def check_unchanged(properties: Mapping[str, str], found: str, wanted: str | None) -> None:
    """Refuse to convert a signed image: the signature is of the source's bytes.

    Args:
        properties: The image's.
        found: Format of the source.
        wanted: Format of the image; None: the source's.

    Raises:
        TransferError: ``UnsupportedFormat``.
    """
    if SIGNATURE in properties and wanted not in {None, found}:
        raise TransferError(
            Reason.UNSUPPORTED_FORMAT,
            f"the property {SIGNATURE} is a signature of the source's bytes, but these are {found} "
            f"and would be converted to {wanted}, so that Glance would refuse them. Set diskFormat "
            f"to {found}, use a source in {wanted} that is signed, or remove the property",
        )


def lacks_certificate(sentence: str) -> bool:
    """Return whether Glance refused an image since it could not get the certificate to check it.

    The bytes prove nothing then: Glance's key manager, Barbican, may be away.
    """
    return _NO_CERTIFICATE in sentence
