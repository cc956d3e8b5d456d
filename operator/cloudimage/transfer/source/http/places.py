"""Where the servers of a source may be."""

from typing import Protocol

from cloudimage.access.policy import CloudPolicy
from cloudimage.transfer.contract import Reason, TransferError, UrlPolicy
from cloudimage.transfer.source.http import addresses, rules


class Places(Protocol):
    """Decides which hosts are asked, at which of their addresses.

    Attributes:
        schemes: The allowed schemes.
        verified: Whether TLS certificates are verified there.
    """

    schemes: tuple[str, ...]
    verified: bool

    def allowed(self, host: str, found: list[str]) -> list[str]:
        """Return those of the addresses of a host that may be connected to.

        Raises:
            TransferError: ``SourceRefused`` or ``CloudRefused`` for the host itself.
        """

    def refusal(self, host: str, address: str) -> TransferError:
        """Return the failure for a host with an address that may not be connected to."""


class UrlPlaces:
    """The places of a URL policy, for URLs that users write."""

    def __init__(self, policy: UrlPolicy) -> None:
        self._policy = policy
        self.schemes = policy.schemes
        self.verified = True

    def allowed(self, host: str, found: list[str]) -> list[str]:  # noqa: ARG002 - any host
        """Return the addresses that the policy allows."""
        return [each for each in found if addresses.is_allowed(each, self._policy)]

    def refusal(self, host: str, address: str) -> TransferError:
        """Return the failure, with the address."""
        why = (
            "is in the operator's urlPolicy.denyNetworks"
            if addresses.is_denied(address, self._policy)
            else "is not public: the operator's administrator can add its network to "
            "urlPolicy.allowNetworks"
        )
        return TransferError(
            Reason.SOURCE_REFUSED, f"{host} has the address {address}, which {why}"
        )


class CloudPlaces:
    """The places of a cloud policy, for the services of a cloud that a clouds.yaml names."""

    def __init__(self, policy: CloudPolicy, *, verified: bool) -> None:
        self._policy = policy
        self.schemes: tuple[str, ...] = rules.SCHEMES
        self.verified = verified

    def allowed(self, host: str, found: list[str]) -> list[str]:
        """Return the addresses that the policy allows, if it allows the host."""
        if not self._policy.allows_host(host):
            raise self.refusal(host, "")
        return [each for each in found if self._policy.allows_address(each)]

    def refusal(self, host: str, address: str) -> TransferError:  # noqa: ARG002 - it is not told
        """Return the failure, without the address: it may be of an internal name."""
        return TransferError(
            Reason.CLOUD_REFUSED,
            f"the operator's cloudPolicy does not allow connections to {host}",
        )
