"""What a transfer is given of a cloud's credentials."""

from cloudimage.cloud.config import CloudConfig
from cloudimage.transfer.contract import Cloud


def lend(config: CloudConfig, login: str | None = None) -> Cloud:
    """Return how a transfer reaches a cloud.

    Args:
        config: Of the cloud.
        login: The state of the operator's login, to go on with; None: the transfer logs in.
    """
    options = dict(config.options)
    return Cloud(config=options, ca_certificate=config.ca_certificate, login=login)
