"""URLs and names that are templates over a build, once it is known which one is meant; pure."""

from collections.abc import Mapping
from urllib.parse import quote

from cloudimage import templates
from cloudimage.transfer.contract import Reason, TransferError
from cloudimage.transfer.source.http.model import HttpSource, Signature, SumsFile


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
