"""Which addresses a source may have; pure."""

from cloudimage.addresses import any_in, is_public, judged
from cloudimage.transfer.contract import UrlPolicy


def is_allowed(text: str, policy: UrlPolicy) -> bool:
    """Return whether a policy lets an address be connected to.

    An IPv6 address that stands for an IPv4 one (mapped, or behind NAT64) is as public as that.
    """
    forms = judged(text)
    if is_denied(text, policy):
        return False
    return is_public(forms[-1]) or any_in(forms, policy.allow_networks)


def is_denied(text: str, policy: UrlPolicy) -> bool:
    """Return whether a policy refuses an address whatever else allows it."""
    return any_in(judged(text), policy.deny_networks)
