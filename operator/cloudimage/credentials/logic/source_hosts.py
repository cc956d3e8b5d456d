"""Which hosts the Secret of ``source.http.auth`` is for, as its annotation says.

Whoever may write a CloudImage can name any Secret of the namespace and any server. The annotation
is the word of who may write the Secret.
"""

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from cloudimage.api.names import HOSTS_ANNOTATION

_PORTS: Final = {"http": 80, "https": 443}
_LABELS: Final = r"[a-z0-9_-]+(\.[a-z0-9_-]+)*"
_PATTERN: Final = re.compile(
    rf"(?P<host>\*|(\*\.)?{_LABELS}|\[[0-9a-f:.]+\])(:(?P<port>[0-9]{{1,5}}))?"
)
_MOST: Final = 8192
"""Characters of the annotation that are looked at."""


def complaint(
    secret: str, annotation: str | None, urls: Iterable[str], *, demanded: bool
) -> str | None:
    """Return why the credentials of a Secret are not sent to the servers of a source.

    Args:
        secret: Its name.
        annotation: Its annotation: hosts with commas or blanks between, each a name, ``*.`` and a
            name for all names below that one, an address, or ``*``; a port may follow a colon.
            None without one.
        urls: Those that the credentials would be sent to.
        demanded: Whether there must be an annotation.

    Returns:
        A sentence for the user; None: they may be sent.
    """
    if annotation is None:
        if not demanded:
            return None
        return (
            f"Secret {secret} has no annotation {HOSTS_ANNOTATION}, which this operator requires "
            "before it sends credentials to a source; add it to the Secret, with the hosts that "
            "the credentials are for"
        )
    if len(annotation) > _MOST:
        return f"the annotation {HOSTS_ANNOTATION} of Secret {secret} is too long"
    words = [word.lower() for word in re.split(r"[,\s]+", annotation) if word]
    patterns = [_PATTERN.fullmatch(word) for word in words]
    if not all(patterns):
        bad = words[patterns.index(None)]
        return (
            f"the annotation {HOSTS_ANNOTATION} of Secret {secret} has {bad[:80]!r}, which is no "
            "host; it takes names, *.name, addresses, with a :port or without"
        )
    strangers = [
        host
        for host, port in map(_place, urls)
        if not any(each and _fits(host, port, each) for each in patterns)
    ]
    if not strangers:
        return None
    return (
        f"Secret {secret} is not for {', '.join(dict.fromkeys(strangers))}, which its annotation "
        f"{HOSTS_ANNOTATION} does not list. Change the source, or add the host to the annotation"
    )


def _place(url: str) -> tuple[str, int | None]:
    """Return the host and the port of a URL; an empty host, which fits nothing, for no URL.

    A host that is not ASCII fits no name: there are several ways to encode it.
    """
    try:
        parts = urlsplit(url)
        return (parts.hostname or "").rstrip("."), parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return "", None


def _fits(host: str, port: int | None, pattern: re.Match[str]) -> bool:
    wanted, only = pattern["host"].strip("[]"), pattern["port"]
    if not host or (only is not None and int(only) != port):
        return False
    if wanted.startswith("*."):
        return host.endswith(wanted[1:]) and len(host) >= len(wanted)
    return wanted in {"*", host}
