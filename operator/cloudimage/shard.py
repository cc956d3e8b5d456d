"""Which objects an operator has, where several divide them."""

import hashlib
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Shard:
    """One part of all namespaces, chosen by a hash that is the same everywhere and always.

    Attributes:
        index: Which part, from 0.
        count: How many there are.
    """

    index: int = 0
    count: int = 1

    def owns(self, namespace: str) -> bool:
        """Return whether the objects of a namespace are in this part."""
        digest = hashlib.sha256(namespace.encode()).digest()
        return int.from_bytes(digest[:8]) % self.count == self.index


WHOLE: Final = Shard()
"""All namespaces, where one operator has them."""
