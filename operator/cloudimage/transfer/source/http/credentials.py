"""What is shown to the servers of a source, where it is not the same for each request."""

from typing import Protocol

import requests

from cloudimage.transfer.contract import TransferError


class Credentials(Protocol):
    """How a kind of source whose bytes come over HTTP gets in: by a token, or signed requests.

    It is asked for requests to the origins of the source's URLs alone, and never for those to
    which they redirect.

    Attributes:
        identity: Tells those apart who may see other bytes at the same URL, for the cache's key.
    """

    identity: str

    def show(self, request: requests.PreparedRequest) -> None:
        """Put what the server wants to see into the headers of a request that is ready otherwise.

        Raises:
            TransferError: It cannot be had.
            UnansweredError: Another attempt may have it.
        """

    def renew(self, response: requests.Response) -> bool:
        """Return whether the same request may be answered if it is sent once again.

        What is shown is renewed before that returns.

        Args:
            response: With a status of 400 or above; its body is not read yet, and has to stay so.

        Raises:
            TransferError: What is shown cannot be renewed.
            UnansweredError: Another attempt may renew it.
        """

    def explain(self, response: requests.Response, body: bytes) -> TransferError | None:
        """Return what a status other than success means; None: what HTTP says of it.

        Args:
            response: The answer.
            body: Its beginning, as far as it came.
        """
