"""What was asked of the source server, in memory, for tests to assert on."""

import threading
from collections import defaultdict, deque
from dataclasses import asdict, dataclass
from typing import Any

# A forgotten redirect loop must not eat the memory.
KEPT = 10_000


@dataclass
class Request:
    """One request; the server fills in what it answered while it answers.

    Attributes:
        method: ``GET`` or ``HEAD``.
        path: The path with its query.
        headers: What the client sent, names in lower case.
        status: The status sent, or None before that.
        sent: Bytes of the body given to the network so far.
    """

    method: str
    path: str
    headers: dict[str, str]
    status: int | None = None
    sent: int = 0


class Journal:
    """The requests of each key, in the order in which they came."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: dict[str, deque[Request]] = defaultdict(lambda: deque(maxlen=KEPT))
        self._counts: dict[str, int] = defaultdict(int)

    def add(self, key: str, request: Request) -> int:
        """Record a request and return its number within its key, from 1."""
        with self._lock:
            self._requests[key].append(request)
            self._counts[key] += 1
            return self._counts[key]

    def of(self, key: str) -> list[dict[str, Any]]:
        """Return the requests of the key, ready for JSON."""
        with self._lock:
            return [asdict(request) for request in self._requests.get(key, ())]
