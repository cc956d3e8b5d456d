"""The transfer's stages in their order."""

import json
import logging
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

from cloudimage.transfer.companions import making
from cloudimage.transfer.contract import Result, Stage, TransferError
from cloudimage.transfer.customize.preparation import Prepared, check_possible, prepared
from cloudimage.transfer.declaration import settled
from cloudimage.transfer.examination import Wanted, examine
from cloudimage.transfer.glance.client import Glance
from cloudimage.transfer.glance.delivery import (
    Located,
    by_web_download,
    choose_method,
    deliver,
    deliver_stream,
    source_info,
)
from cloudimage.transfer.glance.image_lifecycle import UploadContext
from cloudimage.transfer.glance.keeping import keep
from cloudimage.transfer.glance.methods import Choice
from cloudimage.transfer.glance.preflight import check_rights
from cloudimage.transfer.image.conversion import largest
from cloudimage.transfer.image.shared_conversion import SharedConversion
from cloudimage.transfer.interrupts import Interrupts
from cloudimage.transfer.lint.looking import Subject, look_into, unseen
from cloudimage.transfer.progress import Meter
from cloudimage.transfer.request import TransferRequest
from cloudimage.transfer.scratch import FOLDER_PREFIX, Cache, redacted_name, telling_when_full
from cloudimage.transfer.source.base import Context, Made, Reader
from cloudimage.transfer.source.registry import open_source
from cloudimage.transfer.tools.toolbox import Toolbox
from cloudimage.transfer.verify.image_signature import check_unchanged
from cloudimage.transfer.verify.verification import Expected, check_pinned, check_version

_log = logging.getLogger(__name__)


def transfer(request: TransferRequest, meter: Meter, interrupts: Interrupts) -> Result:
    """Move one image; nothing is left in the scratch, and on failure nothing in Glance.

    Raises:
        TransferError: With every reason of a transfer.
    """
    request = settled(request)
    if request.customize:
        check_possible(request.customize, request.image, request.appliance, request.limits)
    limits = request.limits
    with telling_when_full(), workspace(request.scratch, interrupts) as folder:
        stores = tuple(dict.fromkeys(request.method.stores))
        glance = Glance(request.cloud, folder, request.cloud_policy)
        target = UploadContext(glance, request.image, meter, interrupts, stores, limits)
        choice = choose_method(request, target)
        check_rights(target)
        result = _moved(request, target, choice, folder)
    return result.model_copy(update={"lint": result.lint or unseen(request.lint)})


def _moved(request: TransferRequest, target: UploadContext, choice: Choice, folder: Path) -> Result:
    """Move the bytes, past us where the method is such."""
    if choice.method == "WebDownload":
        outcome = by_web_download(target, request, choice, folder)
        if isinstance(outcome, Result):
            return outcome
        choice = outcome
    return _through_us(request, target, choice, folder)


def _through_us(
    request: TransferRequest, target: UploadContext, choice: Choice, folder: Path
) -> Result:
    """Move the bytes by way of the scratch."""
    limits, meter, pinned = request.limits, target.meter, request.pinned
    tools = Toolbox(folder, limits.tool_memory, limits.tool_cpu_seconds)
    cache = Cache(request.cache or folder, limits, shared=request.cache is not None)
    clouds = request.cloud, request.cloud_policy
    context = Context(
        *(folder, cache, limits, request.policy, meter, tools, *clouds),
        image=request.image,
        pinned=pinned,
        list_age=request.list_age,
        interrupts=target.interrupts,
    )
    beside = making(request.cache or folder, _made(request))
    with open_source(request.source, context) as source, beside as others:
        meter.start(Stage.FETCHING)
        expected = source.expect()
        told = expected.hashes
        check_version(request.version, expected.version)
        check_pinned(pinned, told)
        if result := _kept(source, target, request):
            return _told(result, expected)
        with source.discarding():
            # What is in the scratch already need not be fetched again.
            pure = choice.method == "Upload" and not source.is_kept() and not request.must_be_read
            # Only a checksum that is known beforehand tells in time that it is another file.
            pure = pure and (pinned is None or pinned.algorithm in told)
            # One fetch is enough for all that want the same.
            pure = pure and not others()
            if pure and (result := _streamed(source, target, choice)):
                return _told(result, expected)
            declared = request.source.format or expected.format
            wanted = Wanted(request.image.name, declared, request.image.min_disk, pinned)
            examined = examine(source.fetch, expected, wanted, context)
            path, found = examined.path, examined.found
            check_unchanged(request.image.properties, found.format, request.image.disk_format)
            info = source_info(found, examined.fetched)
            made = Prepared(path, found, request.image)
            made = prepared(made, request.customize, request.appliance, context)
            path, found, target = made.path, made.found, replace(target, image=made.image)
            sha256 = examined.fetched.checksums["sha256"]
            shared = (
                SharedConversion(cache, sha256, others, grows=not request.across_nodes)
                if not request.customize
                else None
            )
            with _remembering(made), shared.left() if shared else nullcontext():
                # As it will be in Glance.
                lint = look_into(Subject(path, found), request.lint, tools, cache)
                if written := largest(path.name, found, target.image.disk_format, tools):
                    cache.reserve(folder / "converted", written)
                result = deliver(target, choice, Located(path, found, tools, shared), info)
    made_into = {
        "virtual_size": found.virtual_size,
        "customize": made.results,
        "lint": lint,
    }
    return _told(result.model_copy(update=made_into), expected, *examined.left_out)


def _made(request: TransferRequest) -> str:
    """Return a name for what is made of the source: the same where others make the same."""
    shape = [request.image.disk_format, request.image.compress]
    return redacted_name(json.dumps([request.source.model_dump_json(), shape]))


@contextmanager
def _remembering(made: Prepared) -> Iterator[None]:
    """Have a failure of the block say what came of the steps before it."""
    try:
        yield
    except TransferError as error:
        error.customize = error.customize or made.results
        raise


def _told(result: Result, expected: Expected, *left_out: str) -> Result:
    """Return a result with what is known of its source beforehand, and what was left out of it."""
    by = expected.checksum.algorithm if expected.checksum else None
    known = {"verified_by": by, "version": expected.version}
    more = {
        "source": result.source.model_copy(update=known),
        "warnings": expected.warnings,
        "left_out": left_out,
    }
    return result.model_copy(update=more)


def _kept(source: Reader, target: UploadContext, request: TransferRequest) -> Result | None:
    """Take an image that was made for this transfer as it is; None: it has to be copied."""
    method = request.method
    if not isinstance(source, Made) or method.stores or method.method not in {"Auto", "Upload"}:
        return None
    if request.must_be_read:
        return None
    identifier = source.as_it_is()
    if identifier is None:
        return None
    target.meter.start(Stage.INSPECTING)
    return keep(target, identifier)


def _streamed(source: Reader, target: UploadContext, choice: Choice) -> Result | None:
    """Move a raw source with no disk between; None: it has to go through the scratch."""
    stream = source.stream(target.image)
    if stream is None:
        return None
    try:
        return deliver_stream(target, choice, stream)
    except TransferError as error:
        if not source.can_fetch_after(error):
            raise
        _log.warning("not as a stream, but through the scratch: %s", error.message)
        return None


@contextmanager
def workspace(scratch: Path, interrupts: Interrupts) -> Iterator[Path]:
    """Make a folder of the transfer's own in the scratch, and remove it in the end.

    Nobody but its owner may read it: it takes the cloud's CA and the image.
    """
    with interrupts.deferred():
        folder = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX, dir=scratch))
        interrupts.folder = folder
    try:
        yield folder
    finally:
        with interrupts.deferred():
            shutil.rmtree(folder, ignore_errors=True)  # the outcome tells more
