"""What a case of a hostile image is, and what it is measured by."""

from dataclasses import dataclass
from typing import Any

from cloudimage.transfer.contract import Limits, Reason
from support.hostile_images import Build
from support.transfer_images import MIB

SIZE = 8 * MIB
LIMITS = Limits(
    max_download=64 * MIB, max_virtual_size=2**40, tool_memory=2**30, tool_cpu_seconds=50
)

NOT_AN_IMAGE = Reason.SOURCE_NOT_AN_IMAGE
TRUNCATED = Reason.SOURCE_TRUNCATED
UNSAFE = Reason.UNSAFE_IMAGE
TOO_LARGE = Reason.IMAGE_TOO_LARGE
UNSUPPORTED = Reason.UNSUPPORTED_FORMAT


@dataclass(frozen=True)
class Case:
    """An image and how it ends; ``opened`` tells that only qemu itself can tell."""

    name: str
    build: Build
    reason: Reason
    words: str = ""
    declared: str | None = None
    opened: bool = False
    image: tuple[tuple[str, Any], ...] = ()
