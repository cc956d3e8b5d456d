"""Finds out what a source means at present, without its bytes."""

from cloudimage.transfer.contract import Latest, Reason, Stage, TransferError
from cloudimage.transfer.interrupts import Interrupts
from cloudimage.transfer.pipeline import workspace
from cloudimage.transfer.progress import Meter
from cloudimage.transfer.request import LookRequest
from cloudimage.transfer.scratch import Cache, telling_when_full
from cloudimage.transfer.source.base import Context
from cloudimage.transfer.source.registry import open_source
from cloudimage.transfer.tools.toolbox import Toolbox


def look(request: LookRequest, meter: Meter, interrupts: Interrupts) -> Latest:
    """Ask a source which version it has.

    Raises:
        TransferError: It does not say, or what it says is not proven.
    """
    limits = request.limits
    with telling_when_full(), workspace(request.scratch, interrupts) as folder:
        meter.start(Stage.PENDING)
        context = Context(
            folder=folder,
            cache=Cache(request.cache, limits, shared=True),
            limits=limits,
            policy=request.policy,
            meter=meter,
            tools=Toolbox(folder, limits.tool_memory, limits.tool_cpu_seconds),
            cloud=request.cloud,
            cloud_policy=request.cloud_policy,
            list_age=request.list_age,
        )
        with open_source(request.source, context) as source:
            expected = source.expect()
    version = expected.version or str(expected.checksum or "")
    if not version:
        raise TransferError(
            Reason.INVALID_REQUEST,
            "the source does not say which version it has: give checksum.from, or an index",
        )
    return Latest(
        version=version,
        checksum=expected.checksum,
        location=expected.location,
        values=dict(expected.values),
    )
