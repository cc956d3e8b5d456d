"""``cloudimage inspect``: what ``qemu-img info`` says of an image, without trusting the file.

The file is fetched, verified, expanded and inspected by the transfer's own stages, with the same
limits and with each program confined; so what is said here is what a CloudImage would meet.
"""

import json
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from rich.console import Console

from cloudimage.cli.by_hand import bars, checksum, http_source, refused, workplace
from cloudimage.cli.output import say
from cloudimage.plaintext import plain_tree
from cloudimage.sizes import exact_text
from cloudimage.transfer import contract, examination
from cloudimage.transfer.contract import Reason, Stage, TransferError
from cloudimage.transfer.examination import Examined, examine
from cloudimage.transfer.image.inspection import GIB, Inspected
from cloudimage.transfer.image.qemu_formats import QEMU_FORMATS
from cloudimage.transfer.progress import Meter
from cloudimage.transfer.scratch import Cache, telling_when_full
from cloudimage.transfer.source.base import Context
from cloudimage.transfer.source.hashes import Fetched, Hashes
from cloudimage.transfer.source.registry import open_source
from cloudimage.transfer.tools.toolbox import Toolbox, image
from cloudimage.transfer.verify.verification import Expected, weakness

_DETAILS: Final = ("compat", "compression-type", "create-type", "lazy-refcounts", "refcount-bits")
"""What of a format's own details is shown: plain values that are the same for any reader."""


@dataclass(frozen=True)
class Wanted:
    """What to look at.

    Attributes:
        place: The path of a file, or a URL.
        source: What is known of it; of a file the checksum and the format alone.
        is_url: Whether it has to be fetched.
        scratch: Where files go; None: a folder of the user's own.
        max_scratch: Bytes that they may take.
    """

    place: str
    source: contract.Source
    is_url: bool
    scratch: Path | None
    max_scratch: int


def wanted(place: str, given: Mapping[str, Any]) -> Wanted:
    """Return what the options ask for.

    Raises:
        ValueError: One of them is invalid, or for URLs only; with a sentence.
    """
    is_url = urlsplit(place).scheme in contract.UNRESTRICTED.schemes
    if not is_url and "://" in place:
        raise ValueError("only URLs with http or https are fetched; give the path of a file")
    source = (
        http_source(place, given)
        if is_url
        else contract.Source.model_validate(
            {
                "checksum": checksum(given["checksum"]),
                "format": given["source_format"] or None,
            }
        )
    )
    of_urls = ("mirror", "checksums_url", "signature_url", "keyring", "ca_certificate")
    if not is_url and (extra := [each for each in of_urls if given[each]]):
        raise ValueError(f"--{extra[0].replace('_', '-')} is for URLs, and {place} is a file")
    return Wanted(place, source, is_url, given["scratch"], given["max_scratch_gib"] * GIB)


def run(wanted: Wanted, *, as_json: bool) -> int:
    """Look at the file and print what it is; return the exit status."""
    console = Console(stderr=True)
    told: dict[str, Any] = {"filename": wanted.place}
    limits = contract.Limits(max_scratch=wanted.max_scratch)
    with (
        refused(console) as outcome,
        workplace(wanted.scratch, limits) as (folder, cache, _),
        bars(console) as show,
        telling_when_full(),
    ):
        told |= _looked_at(wanted, folder, cache, limits, Meter(show))
    if outcome.failure is not None:
        told |= {"reason": outcome.failure.reason, "message": outcome.failure.message}
    told["usable"] = outcome.status == 0
    if as_json:
        say(json.dumps(plain_tree(told), indent=4))
    elif outcome.status == 0:
        say("\n".join(lines(told)))
    return outcome.status


def lines(told: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is known of an image that can be used, in the words of ``qemu-img info``."""
    virtual, size = told["virtual-size"], told["file-size"]
    yield f"image: {told['filename']}"
    yield f"file format: {told['format']}"
    yield f"virtual size: {exact_text(virtual)}"
    yield f"minDiskGiB: {-(-virtual // GIB)} or more"
    yield f"file size: {exact_text(size)}"
    if "expanded-size" in told:
        yield f"unpacked: {exact_text(told['expanded-size'])}"
    for name, value in told["format-specific"].items():
        yield f"{name.replace('-', ' ')}: {json.dumps(value) if isinstance(value, bool) else value}"
    for name, value in told["checksums"].items():
        yield f"{name}: {value}"
    yield f"verified: {told['verified'] or 'no: give --checksum, --checksums-url or --keyring'}"
    for each in told["warnings"]:
        yield f"warning: {each}"


def _looked_at(
    wanted: Wanted, folder: Path, kept: Path, limits: contract.Limits, meter: Meter
) -> dict[str, Any]:
    tools = Toolbox(folder, limits.tool_memory, limits.tool_cpu_seconds)
    cache = Cache(kept, limits, shared=True)
    context = Context(folder, cache, limits, contract.UNRESTRICTED, meter, tools)
    with brought(wanted, context) as (expected, fetch):
        file = examination.Wanted(declared=wanted.source.format)
        examined = examine(fetch, expected, file, context)
        details = _details(examined.path, examined.found, tools, limits)
        told = _described(examined, expected, details)
        return told | {"warnings": [*expected.warnings, *examined.left_out]}


@contextmanager
def brought(
    wanted: Wanted, context: Context
) -> Iterator[tuple[Expected, Callable[[Path], Fetched]]]:
    """Yield what the file must be, and what puts it where the programs may read it.

    Raises:
        TransferError: Its source cannot be asked for it.
    """
    if not wanted.is_url:
        given = wanted.source.checksum
        place, cache, meter = Path(wanted.place), context.cache, context.meter
        yield (
            Expected(given, warnings=weakness(given)),
            lambda target: _taken(place, target, given, cache, meter),
        )
        return
    with open_source(wanted.source, context) as source:
        expected = source.expect()
        with source.discarding():
            yield expected, source.fetch


def _taken(
    path: Path, target: Path, expected: contract.Checksum | None, cache: Cache, meter: Meter
) -> Fetched:
    """Put a local file where the programs may read it, and hash it.

    Raises:
        TransferError: ``InvalidRequest``: it is no file that can be read; ``ChecksumMismatch``.
    """
    meter.start(Stage.FETCHING)
    try:
        path = path.resolve(strict=True)
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise TransferError(Reason.INVALID_REQUEST, f"{path} is not a regular file")
        try:
            target.hardlink_to(path)
        except OSError:  # another file system, or somebody else's file
            cache.reserve(target, status.st_size)
            shutil.copyfile(path, target)
        meter.start(Stage.FETCHING, status.st_size)
        hashes = Hashes(expected)
        hashes.update_from(target, meter)
    except OSError as error:
        raise TransferError(
            Reason.INVALID_REQUEST, f"{path} cannot be read: {error.strerror}"
        ) from error
    hashes.check()
    return hashes.fetched()


def _details(
    path: Path, found: Inspected, tools: Toolbox, limits: contract.Limits
) -> dict[str, Any]:
    """Return what the format's driver in qemu says beside the size; it may open the file now."""
    if found.format not in QEMU_FORMATS or found.format == "raw":
        return {}
    tools = tools.within(limits.inspect_seconds)
    opened = image(path.name, QEMU_FORMATS[found.format])
    info = tools.json("qemu-img", "info", "--output=json", *opened)
    specific = info.get("format-specific", {}).get("data", {})
    known = {name: specific[name] for name in _DETAILS if name in specific}
    if "cluster-size" in info:
        known["cluster-size"] = info["cluster-size"]
    return {name: each for name, each in known.items() if isinstance(each, str | int | bool)}


def _described(
    examined: Examined, expected: Expected, details: Mapping[str, Any]
) -> dict[str, Any]:
    found, fetched = examined.found, examined.fetched
    told: dict[str, Any] = {
        "format": found.format,
        "virtual-size": found.virtual_size,
        "file-size": fetched.size,
        "checksums": fetched.checksums,
        "format-specific": dict(details),
        "verified": _proof(expected),
    }
    return told | ({"expanded-size": found.size} if found.size != fetched.size else {})


def _proof(expected: Expected) -> str | None:
    if expected.signature is not None:
        return "by its signature"
    return f"by its {expected.checksum.algorithm}" if expected.checksum else None
