"""The transfer's stages in their order."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cloudimage.transfer.convert import convert
from cloudimage.transfer.fetch import fetch
from cloudimage.transfer.glance import Glance
from cloudimage.transfer.inspect import inspect
from cloudimage.transfer.interrupts import Interrupts
from cloudimage.transfer.progress import Meter
from cloudimage.transfer.tools import Toolbox
from cloudimage.transfer.types import Result, SourceInfo, Stage, TransferRequest
from cloudimage.transfer.upload import upload
from cloudimage.transfer.verify import verify


def transfer(request: TransferRequest, meter: Meter, interrupts: Interrupts) -> Result:
    """Move one image; nothing is left in the scratch, and on failure nothing in Glance.

    Raises:
        TransferError: With every reason of a transfer.
    """
    source, image, limits = request.source, request.image, request.limits
    with workspace(request.scratch, interrupts) as folder:
        tools = Toolbox(folder, limits.tool_memory, limits.tool_cpu_seconds)
        path = folder / "source"
        fetched = fetch(source, path, limits, meter)
        meter.start(Stage.VERIFYING)
        verify(source.checksum, fetched.checksums, fetched.size)
        meter.start(Stage.INSPECTING)
        found = inspect(path, source.format, image.min_disk, limits, tools)
        payload = convert(path, found, image.disk_format, tools, meter)
        uploaded = upload(Glance(request.cloud, folder), image, payload, meter, interrupts)
    return Result(
        image_id=uploaded.image_id,
        disk_format=payload.format,
        size=payload.size,
        virtual_size=found.virtual_size,
        hash_algo=uploaded.hash_algo,
        hash_value=uploaded.hash_value,
        source=SourceInfo(
            format=found.format,
            size=fetched.size,
            virtual_size=found.virtual_size,
            checksums=fetched.checksums,
        ),
    )


@contextmanager
def workspace(scratch: Path, interrupts: Interrupts) -> Iterator[Path]:
    """Make a folder of the transfer's own in the scratch, and remove it in the end.

    Nobody but its owner may read it: it takes the cloud's CA and the image.
    """
    with interrupts.deferred():
        folder = Path(tempfile.mkdtemp(prefix="transfer-", dir=scratch))
        interrupts.folder = folder
    try:
        yield folder
    finally:
        with interrupts.deferred():
            shutil.rmtree(folder, ignore_errors=True)
