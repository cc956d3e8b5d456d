"""URLs and names that are templates over a build, once it is known which one is meant; pure."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, urlsplit

from cloudimage import templates
from cloudimage.transfer.contract import Reason, TransferError
from cloudimage.transfer.source.http.model import HttpSource, Signature, SumsFile

_LONGEST: Final = 2048
"""Characters of a URL: the status keeps no longer one."""


def fill(template: str, values: Mapping[str, str], *, url: bool = False) -> str:
    """Return a template with its variables replaced.

    Args:
        template: See :mod:`cloudimage.templates`.
        values: By name.
        url: The template is a URL: what is put into it is quoted, and stays within its path.

    Raises:
        TransferError: ``InvalidRequest``: a variable has no value, or one that leads elsewhere.
    """
    try:
        return templates.fill(template, values, _in_path if url else str)
    except templates.TemplateError as error:
        raise TransferError(Reason.INVALID_REQUEST, str(error)) from error


def _url(template: str, values: Mapping[str, str]) -> str:
    """Return a URL whose host is that of its template: a list does not choose it."""
    filled = fill(template, values, url=True)
    if urlsplit(filled)[:2] != urlsplit(template)[:2]:
        raise TransferError(
            Reason.INVALID_REQUEST,
            f"{template!r}: variables such as $(version) belong behind the host",
        )
    return filled


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
    place = _url(source.url, values) if source.url else url
    if not place:
        raise TransferError(
            Reason.INVALID_REQUEST,
            "the index does not say where its builds are; give spec.source.http.url as a template "
            "such as https://images.example.org/$(version)/disk.qcow2",
        )
    if len(place) > _LONGEST:
        raise TransferError(
            Reason.SUMS_FILE_INVALID, f"the URL of the build has over {_LONGEST} characters"
        )
    return source.model_copy(
        update={
            "index": None,
            "trusted": source.servers,
            "url": place,
            "mirrors": tuple(_url(each, values) for each in source.mirrors),
            "sums": source.sums and _sums(source.sums, values),
            "signature": source.signature and _signature(source.signature, values),
        }
    )


def _sums(sums: SumsFile, values: Mapping[str, str]) -> SumsFile:
    return sums.model_copy(
        update={
            "url": _url(sums.url, values),
            "filename": sums.filename and fill(sums.filename, values),
            "signature": sums.signature and _signature(sums.signature, values),
        }
    )


def _signature(signature: Signature, values: Mapping[str, str]) -> Signature:
    url = signature.url and _url(signature.url, values)
    return signature.model_copy(update={"url": url})
