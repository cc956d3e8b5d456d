"""A source whose URLs are templates, once it is known which build is the newest; pure."""

from collections.abc import Mapping

from cloudimage.transfer.contract import Checksum, Reason, TransferError
from cloudimage.transfer.source.http.index.patterns import fill
from cloudimage.transfer.source.http.index.selection import Build
from cloudimage.transfer.source.http.model import HttpSource, Signature, SumsFile


def at_build(source: HttpSource, build: Build) -> HttpSource:
    """Return a source that names a build's file, and what proves it.

    Raises:
        TransferError: ``InvalidRequest``: a template uses what is not known of the build.
    """
    url = fill(source.url, build.values, url=True) if source.url else build.url
    if not url:
        raise TransferError(
            Reason.INVALID_REQUEST,
            "the index does not say where its builds are; give spec.source.http.url as a template "
            "such as https://images.example.org/$(version)/disk.qcow2",
        )
    sums = source.sums and _sums(source.sums, build.values)
    return source.model_copy(
        update={
            "index": None,
            "url": url,
            "mirrors": tuple(fill(each, build.values, url=True) for each in source.mirrors),
            "sums": sums,
            "signature": source.signature and _signature(source.signature, build.values),
            "checksum": _checksum(source, build, sums),
        }
    )


def _checksum(source: HttpSource, build: Build, sums: SumsFile | None) -> Checksum | None:
    # A checksum file that is asked for, perhaps a signed one, proves more than what lists builds.
    return None if sums else build.checksum or source.checksum


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
