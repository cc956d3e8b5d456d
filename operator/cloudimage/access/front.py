"""The answer of what stands before a service, be it a proxy, a load balancer or a web server; pure.

Its page is not of the API's shape, so little of it may be shown: see
:mod:`cloudimage.access.answers`. A heading is, where it says no more than the status does: it
begins with the code, or is the code's phrase as RFC 9110 has it.
"""

import html
import re
from http import HTTPStatus
from typing import Final

import requests

_MOST: Final = 64 * 2**10
_MAX_HEADING: Final = 100
_HEADING: Final = re.compile(
    rb"<(?:title|h1)[^<>]{0,100}>([^<]{1,200})</(?:title|h1)>", re.IGNORECASE
)
_APART: Final = re.compile(r"[^a-z0-9]")
_PROGRAMS: Final = (
    "nginx",
    "openresty",
    "HAProxy",
    "Apache",
    "cloudflare",
    "Envoy",
    "awselb",
    "Varnish",
    "Traefik",
    "Squid",
    "BigIP",
    "Caddy",
)


def heading(response: requests.Response) -> str | None:
    """Return the heading of an error page, with the name of the program where that is known.

    None: it has none that may be shown, or it is no page.
    """
    kind = (response.headers.get("Content-Type") or "").partition(";")[0].strip().lower()
    if kind not in {"text/html", "application/xhtml+xml"}:
        return None
    page = (response.content or b"")[:_MOST]
    words = next((each for each in _headings(page) if _fits(each, response.status_code)), None)
    if words is None:
        return None
    code = str(response.status_code)
    text = words if words.startswith(code) else f"{code} {words}"
    program = _program(response, page)
    return f"{text} ({program})" if program else text


def _headings(page: bytes) -> list[str]:
    found = (html.unescape(each.decode("latin-1")) for each in _HEADING.findall(page))
    return ["".join(filter(str.isprintable, " ".join(each.split()))) for each in found]


def _fits(words: str, code: int) -> bool:
    if len(words) > _MAX_HEADING or not words.isascii():
        return False
    try:
        phrase = HTTPStatus(code).phrase
    except ValueError:
        phrase = ""
    return bool(re.match(rf"{code}\b", words)) or (
        bool(phrase) and _letters(words) == _letters(phrase)
    )


def _letters(words: str) -> str:
    return _APART.sub("", words.lower())


def _program(response: requests.Response, page: bytes) -> str | None:
    said = f"{response.headers.get('Server', '')} {page.decode('latin-1')}".lower()
    return next((each for each in _PROGRAMS if each.lower() in said), None)
