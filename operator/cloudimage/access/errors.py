"""What the way to a cloud refuses.

Not exceptions of requests, so that keystoneauth passes them on as they are.
"""


class AnswerRefusedError(Exception):
    """The cloud's answer is larger, deeper or of another kind than is read."""


class RedirectRefusedError(AnswerRefusedError):
    """The answer redirects to another server, to which no credentials are sent."""


class AddressRefusedError(Exception):
    """The policy does not allow the host, or the address that it is at."""
