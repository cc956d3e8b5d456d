"""What steps asked the network for, as far as the user is to know."""

import threading
from dataclasses import dataclass
from typing import Final

from cloudimage.plaintext import plain

MOST_BYTES: Final = 16 * 2**30
"""In both directions, in one run: what is fetched is for the image, which may gain as much."""

_MOST_SENTENCES: Final = 3
_SENTENCE_BYTES: Final = 300


class TooMuchError(Exception):
    """A run moved more bytes than it may."""


@dataclass(frozen=True)
class Traffic:
    """What came of a run's requests.

    Attributes:
        asked: How many there were.
        refused: Why the first of those were refused that a rule speaks against: sentences.
        unreached: Why the first of those failed whose server could not be reached: sentences.
    """

    asked: int = 0
    refused: tuple[str, ...] = ()
    unreached: tuple[str, ...] = ()


NONE: Final = Traffic()
"""Of what has no network."""


class Tally:
    """Counts while a run goes on; for any thread."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        """Begin with nothing.

        Args:
            most: Bytes that the run may move.
        """
        self._lock = threading.Lock()
        self._left = most
        self._most = most
        self._asked = 0
        self._refused: dict[str, None] = {}
        self._unreached: dict[str, None] = {}

    def ask(self) -> None:
        """Count a request."""
        with self._lock:
            self._asked += 1

    def refuse(self, why: str) -> None:
        """Note what a rule refused."""
        self._note(self._refused, why)

    def miss(self, why: str) -> None:
        """Note a server that could not be reached."""
        self._note(self._unreached, why)

    def move(self, number: int) -> None:
        """Count bytes.

        Raises:
            TooMuchError: They are too many.
        """
        with self._lock:
            self._left -= number
            over = self._left < 0
        if over:
            self.refuse(f"a run may move {self._most // 2**30} GiB by the network")
            raise TooMuchError

    def result(self) -> Traffic:
        """Return what was counted until now."""
        with self._lock:
            return Traffic(self._asked, tuple(self._refused), tuple(self._unreached))

    def _note(self, sentences: dict[str, None], why: str) -> None:
        with self._lock:
            if len(sentences) < _MOST_SENTENCES:
                sentences[plain(why, _SENTENCE_BYTES)] = None
