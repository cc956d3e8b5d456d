"""A checksum of a source of which there is one kind."""

from typing import Annotated

from pydantic import StringConstraints

from cloudimage.api.meta import Like

Sha256 = Annotated[
    str,
    StringConstraints(max_length=64),
    Like("[0-9a-fA-F]{64}", "must be 64 hexadecimal digits"),
]
