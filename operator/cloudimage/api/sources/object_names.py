"""Names of objects in stores, as a URL's path can have them."""

from typing import Annotated

from pydantic import StringConstraints

from cloudimage.api.meta import Like

_PART = (
    r"(?:[^/.\x00-\x1f\x7f][^/\x00-\x1f\x7f]*"
    r"|\.[^/.\x00-\x1f\x7f][^/\x00-\x1f\x7f]*"
    r"|\.\.[^/\x00-\x1f\x7f]+)?"
)
ObjectName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=1024),
    Like(
        f"{_PART}(?:/{_PART})*",
        "must be an object's name without control characters, and none of its parts between "
        "slashes may be . or .., which HTTP clients resolve",
    ),
]
