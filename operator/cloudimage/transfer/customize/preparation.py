"""Whether an image can be customized here, and what it is afterwards."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cloudimage.transfer.contract import Limits, NewImage, Reason, TransferError
from cloudimage.transfer.customize.customization import Workshop
from cloudimage.transfer.customize.model import Customize
from cloudimage.transfer.customize.translation import check_lengths
from cloudimage.transfer.image.inspection import Inspected, check_size
from cloudimage.transfer.source.base import Context
from cloudimage.transfer.step_result import StepResult
from cloudimage.transfer.verify.image_signature import SIGNATURE

APPLIANCE_FILES: Final = ("kernel", "initrd", "root")
"""Of a fixed appliance: libguestfs-make-fixed-appliance(1)."""


@dataclass(frozen=True)
class Prepared:
    """An image as it goes on to be delivered.

    Attributes:
        path: Where it is.
        found: What it is.
        image: What is to be made of it.
        results: What came of the steps of spec.customize.
    """

    path: Path
    found: Inspected
    image: NewImage
    results: tuple[StepResult, ...] = ()


def prepared(
    given: Prepared, request: Customize | None, appliance: Path | None, context: Context
) -> Prepared:
    """Customize an image if that is asked for; else return it as it is.

    Args:
        given: The image as it was inspected; its file is in the transfer's folder.
        request: What is to be done.
        appliance: Where libguestfs' appliance is; None: not here.
        context: The transfer's folder, limits and tools.

    Raises:
        TransferError: Those of :func:`check_possible` and of :meth:`Workshop.customize`.
    """
    if request is None:
        return given
    wanted = given.image.disk_format or given.found.format
    workshop = Workshop(
        context.tools,
        context.cache,
        context.limits,
        context.meter,
        check_possible(request, given.image, appliance, context.limits),
        context.policy,
        compress=wanted == "qcow2" and (request.compress or given.image.compress),
    )
    made = workshop.customize(given.path, given.found, request)
    given.path.unlink()
    image = given.image.model_copy(update={"disk_format": wanted})
    return Prepared(made.path, made.found, image, made.results)


def check_possible(
    request: Customize, image: NewImage, appliance: Path | None, limits: Limits
) -> Path:
    """Return the folder of the appliance, if an image can be customized here.

    Raises:
        TransferError: ``CustomizeUnavailable``: libguestfs or its appliance is not here;
            ``UnsupportedFormat``: the image is signed as it is; ``CustomizeFailed``: a file is not
            text, or a step is too long; ``ImageTooLarge``: the disk is to grow beyond its limits.
    """
    request.check_texts()
    check_lengths(request.steps)
    if request.disk_size is not None:
        check_size(request.disk_size, image.min_disk, limits)
    if SIGNATURE in image.properties:
        raise TransferError(
            Reason.UNSUPPORTED_FORMAT,
            f"the property {SIGNATURE} is a signature of the source's bytes, which spec.customize "
            "changes, so that Glance would refuse them. Remove one of the two",
        )
    if appliance is None or not all((appliance / name).is_file() for name in APPLIANCE_FILES):
        raise TransferError(
            Reason.CUSTOMIZE_UNAVAILABLE,
            "spec.customize needs the operator's second container image, which has libguestfs: "
            "have the operator's administrator set the chart's customize.image.repository, then "
            "give the annotation cloudimage.dev/retry a new value",
        )
    return appliance
