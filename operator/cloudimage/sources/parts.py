"""Parts that several kinds of sources have in their specs."""

from typing import get_args

from cloudimage.api.references import TextReference
from cloudimage.api.sources.digests import Digests
from cloudimage.sources.base import Reference
from cloudimage.transfer import contract


def checksum_of(given: Digests | None) -> contract.Checksum | None:
    """Return the checksum that a spec gives by whichever algorithm, or None."""
    digests = given.to_json() if given else {}
    for name in get_args(contract.ChecksumAlgorithm):
        if name in digests:
            value = digests[name].lower()
            return contract.Checksum.model_validate({"algorithm": name, "value": value})
    return None


def text_reference(name: str, reference: TextReference) -> Reference:
    """Return what a source needs of a Secret or a ConfigMap: one text.

    Args:
        name: What the transfer finds it by.
        reference: Where it is.
    """
    if reference.secret is not None:
        return Reference(name, "Secret", reference.secret.name, reference.secret.key)
    if reference.config_map is not None:
        return Reference(name, "ConfigMap", reference.config_map.name, reference.config_map.key)
    raise ValueError("unreachable: the CRD demands one of them")
