"""Whether an image can be customized here, and what it is afterwards."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cloudimage.transfer.contract import NewImage, Reason, TransferError
from cloudimage.transfer.customize.customization import Workshop
from cloudimage.transfer.customize.model import Customize
from cloudimage.transfer.image.inspection import Inspected
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
    path: Path,
    found: Inspected,
    request: Customize | None,
    appliance: Path | None,
    context: Context,
    image: NewImage,
) -> Prepared:
    """Customize an image if that is asked for; else return it as it is.

    Args:
        path: The file, in the transfer's folder.
        found: What it is.
        request: What is to be done.
        appliance: Where libguestfs' appliance is; None: not here.
        context: The transfer's folder, limits and tools.
        image: What is to be made of it.

    Raises:
        TransferError: ``CustomizeUnavailable``: it cannot be done here; and those of
            :meth:`Workshop.customize`.
    """
    if request is None:
        return Prepared(path, found, image)
    _check_signature(image.properties)
    wanted = image.disk_format or found.format
    workshop = Workshop(
        context.tools,
        context.cache,
        context.limits,
        context.meter,
        checked_appliance(appliance),
        compress=wanted == "qcow2" and (request.compress or image.compress),
    )
    made = workshop.customize(path, found, request)
    kept = image.model_copy(update={"disk_format": wanted})
    return Prepared(made.path, made.found, kept, made.results)


def checked_appliance(folder: Path | None) -> Path:
    """Return the folder of libguestfs' appliance.

    Raises:
        TransferError: ``CustomizeUnavailable``: there is none.
    """
    if folder is None or not all((folder / name).is_file() for name in APPLIANCE_FILES):
        raise TransferError(
            Reason.CUSTOMIZE_UNAVAILABLE,
            "spec.customize needs the operator's second container image, which has libguestfs: "
            "the operator's administrator sets the chart's customize.image.repository (setting "
            "CLOUDIMAGE_CUSTOMIZE_IMAGE) to it. Then give the annotation cloudimage.dev/retry a "
            "new value",
        )
    return folder


def _check_signature(properties: Mapping[str, str]) -> None:
    if SIGNATURE in properties:
        raise TransferError(
            Reason.UNSUPPORTED_FORMAT,
            f"the property {SIGNATURE} is a signature of the source's bytes, which spec.customize "
            "changes, so that Glance would refuse them. Remove one of the two",
        )
