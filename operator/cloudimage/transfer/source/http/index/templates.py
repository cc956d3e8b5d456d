"""URLs and names that are templates over a build, once it is known which one is meant; pure."""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from cloudimage.transfer.contract import Reason, TransferError
from cloudimage.transfer.source.http.model import HttpSource, Signature, SumsFile

_VARIABLE: Final = re.compile(r"\$(\$)?\(([A-Za-z_][A-Za-z0-9_.]*)\)")


def variables(template: str) -> frozenset[str]:
    """Return the names that a template uses, as ``$(name)``; ``$$(name)`` is the text itself."""
    return frozenset(name for escaped, name in _VARIABLE.findall(template) if not escaped)


def fill(template: str, values: Mapping[str, str], *, url: bool = False) -> str:
    """Return a template with its variables replaced.

    Args:
        template: With variables as Kubernetes has them in a container's arguments.
        values: By name.
        url: The template is a URL: what is put into it is quoted, and stays within its path.

    Raises:
        TransferError: ``InvalidRequest``: a variable has no value, or one that leads elsewhere.
    """

    def value(match: re.Match[str]) -> str:
        escaped, name = match.groups()
        if escaped:
            return match[0][1:]
        if name not in values:
            known = ", ".join(f"$({each})" for each in sorted(values))
            raise TransferError(Reason.INVALID_REQUEST, f"$({name}) has no value; known: {known}")
        return _in_path(values[name]) if url else values[name]

    return _VARIABLE.sub(value, template)


def _in_path(value: str) -> str:
    if ".." in value.split("/"):
        raise TransferError(
            Reason.INVALID_REQUEST, f"{value!r} leads out of its folder, so no URL is made of it"
        )
    return quote(value, safe="/")


def at_build(source: HttpSource, values: Mapping[str, str], url: str | None) -> HttpSource:
    """Return a source that names a build's file, and what proves it.

    Args:
        source: With templates.
        values: Of their variables.
        url: Where the index has the file, if it says so.

    Raises:
        TransferError: ``InvalidRequest``: a template uses what is not known of the build.
    """
    place = fill(source.url, values, url=True) if source.url else url
    if not place:
        raise TransferError(
            Reason.INVALID_REQUEST,
            "the index does not say where its builds are; give spec.source.http.url as a template "
            "such as https://images.example.org/$(version)/disk.qcow2",
        )
    return source.model_copy(
        update={
            "index": None,
            "url": place,
            "mirrors": tuple(fill(each, values, url=True) for each in source.mirrors),
            "sums": source.sums and _sums(source.sums, values),
            "signature": source.signature and _signature(source.signature, values),
        }
    )


def _sums(sums: SumsFile, values: Mapping[str, str]) -> SumsFile:
    return sums.model_copy(
        update={
            "url": fill(sums.url, values, url=True),
            "filename": sums.filename and fill(sums.filename, values),
            "signature": sums.signature and _signature(sums.signature, values),
        }
    )


def _signature(signature: Signature, values: Mapping[str, str]) -> Signature:
    url = signature.url and fill(signature.url, values, url=True)
    return signature.model_copy(update={"url": url})
