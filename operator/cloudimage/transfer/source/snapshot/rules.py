"""What a source's cloud lists and says, taken with care; pure."""

import re
from collections.abc import Sequence
from typing import Final, TypeVar

from cloudimage.transfer.contract import Reason, TransferError
from cloudimage.transfer.source.snapshot.calls import Row

R = TypeVar("R", bound=Row)

_MOST_NAMED: Final = 3


def only(found: Sequence[R], kind: str, name: str) -> R:
    """Return the one thing of a name.

    Raises:
        TransferError: ``SourceNotFound`` or ``SourceAmbiguous``.
    """
    if not found:
        raise TransferError(
            Reason.SOURCE_NOT_FOUND,
            f"no {kind} that the credentials of the source cloud can see is called {name!r}",
        )
    if len(found) > 1:
        ids = ", ".join(each.id for each in found[:_MOST_NAMED])
        more = ", ..." if len(found) > _MOST_NAMED else ""
        raise TransferError(
            Reason.SOURCE_AMBIGUOUS,
            f"{len(found)} {kind}s are called {name!r}: {ids}{more}. Give the id",
        )
    return found[0]


def there(found: R | None, kind: str, identifier: str) -> R:
    """Return a thing that was asked for by its id.

    Raises:
        TransferError: ``SourceNotFound``: it is not there.
    """
    if found is None:
        raise TransferError(
            Reason.SOURCE_NOT_FOUND,
            f"the credentials of the source cloud can see no {kind} {identifier}",
        )
    return found


def shown(status: str) -> str:
    """Return a word of the source's cloud for a message; it may be anything."""
    return status if re.fullmatch(r"[\w.-]{1,32}", status) else "unknown"
