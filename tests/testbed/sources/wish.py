"""What one URL asks of the source server besides the file: faults, pace, status, redirect."""

from enum import StrEnum
from urllib.parse import parse_qs

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt


class Fault(StrEnum):
    """What can go wrong with an answer. Several may be asked for at once."""

    TRUNCATE = "truncate"
    """Nothing past byte ``at`` of the file is ever sent, though Content-Length promises it."""
    RESET = "reset"
    """The connection is reset after ``at`` bytes of this answer: resuming gets further."""
    STALL = "stall"
    """Nothing comes for ``seconds`` after ``at`` bytes of this answer."""
    DRIP = "drip"
    """One byte comes every ``seconds``."""
    ENDLESS = "endless"
    """The file is repeated for ever, without a Content-Length."""
    CHUNKED = "chunked"
    """The answer has no Content-Length."""
    HTML = "html"
    """A web page of status 200 comes instead of the file."""
    NO_RANGE = "norange"
    """Range is ignored and not offered."""
    ETAG = "etag"
    """The ETag is another one at each request."""
    LOOP = "loop"
    """A redirect to itself."""


class Wish(BaseModel):
    """The query of a URL. Unknown parameters are refused, so that a slip is no silent success."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str = ""
    """Under which name requests are counted and recorded; the file's name when empty."""
    times: PositiveInt | None = None
    """Only the first so many requests of the key fail; None is all of them."""
    fault: frozenset[Fault] = frozenset()
    at: NonNegativeInt = 0
    seconds: float = Field(default=1.0, ge=0)
    rate: PositiveInt | None = None
    """Bytes a second."""
    status: int | None = Field(default=None, ge=100, le=599)
    retry_after: NonNegativeInt | None = None
    """Seconds, in the Retry-After header of ``status``."""
    redirect: str | None = None
    """The Location of a 302."""
    auth: str | None = None
    """``user:password`` that basic authentication must bring."""

    @classmethod
    def parse(cls, query: str) -> "Wish":
        """Read a query string; ``fault`` may occur more than once, all others only once."""
        values = parse_qs(query, keep_blank_values=True, strict_parsing=bool(query))
        return cls.model_validate(
            {name: value if name == "fault" else value[-1] for name, value in values.items()}
        )

    def healed(self) -> "Wish":
        """Return the wish of the request after the last failing one; pace and auth remain."""
        return Wish(key=self.key, rate=self.rate, auth=self.auth)
