"""URLs of what is imported: what of them may be secret is printed nowhere; pure."""

from urllib.parse import urlsplit

from cloudimage.transfer.source.http.rules import redacted


def is_private(url: str) -> bool:
    """Return whether a URL has user information, a query or a fragment, or cannot be read."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return True
    return bool("@" in parts.netloc or parts.query or parts.fragment)


def has_login(text: str) -> bool:
    """Return whether a text is a URL with a password, or with what may be a token.

    ``ssh://git@host/`` and similar say how to connect, and are not secret.
    """
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return bool(parts.password or (parts.username and parts.scheme in {"http", "https"}))


def shown(url: str) -> str | None:
    """Return a URL without what may be secret; None: it cannot be read."""
    try:
        return redacted(url)
    except ValueError:
        return None
