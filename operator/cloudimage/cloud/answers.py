"""Values and pages out of a service's answers: of the types that its API says, and bounded."""

from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

from pydantic import TypeAdapter

from cloudimage.access.errors import AnswerRefusedError

MAX_PAGES: Final = 200
MAX_ITEMS: Final = 20_000
MAX_NAME: Final = 255

T = TypeVar("T")

Page = tuple[list[dict[str, Any]], bool]
"""What a page lists, and whether there is another."""


def typed(kind: type[T], **values: object) -> T:
    """Return a dataclass of values out of an answer.

    Raises:
        ValueError: One is not of its type.
    """
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    adapter: TypeAdapter[T] = _ADAPTERS[kind]
    return adapter.validate_python(values)


_ADAPTERS: Final[dict[type, TypeAdapter[Any]]] = {}


def name(value: object) -> str:
    """Return a name as long as OpenStack allows; empty for None.

    Raises:
        TypeError: It is no text.
    """
    if value is not None and not isinstance(value, str):
        raise TypeError("a name that is not a text")
    return (value or "")[:MAX_NAME]


def pages(fetch: Callable[[str | None], Page]) -> Iterator[dict[str, Any]]:
    """Yield what all pages list.

    Args:
        fetch: Returns the page after a marker, the id of the last thing of the page before.

    Raises:
        AnswerRefusedError: There are too many, or a page is there twice.
    """
    marker: str | None = None
    seen: set[str] = set()
    count = 0
    for _ in range(MAX_PAGES):
        listed, more = fetch(marker)
        count += len(listed)
        if count > MAX_ITEMS:
            raise AnswerRefusedError(f"more than {MAX_ITEMS} items are listed")
        yield from listed
        if not more:
            return
        if not listed:
            raise AnswerRefusedError("an empty page announces another one")
        marker = str(listed[-1]["id"])
        if marker in seen:
            raise AnswerRefusedError("the same page is listed again and again")
        seen.add(marker)
    raise AnswerRefusedError(f"more than {MAX_PAGES} pages are listed")
