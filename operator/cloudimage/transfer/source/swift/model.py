"""An object of a Swift container, as a transfer's request has it."""

from typing import Literal

from cloudimage.transfer.source.glance.model import CloudSource


class SwiftSource(CloudSource):
    """An object of a Swift container.

    Attributes:
        container: The container, in the account of the cloud's project.
        object: The object's name; one in segments is named as its manifest is.
    """

    type: Literal["swift"] = "swift"
    container: str
    object: str
