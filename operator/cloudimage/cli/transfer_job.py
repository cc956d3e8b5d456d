"""``cloudimage transfer-job``: the transfer in a pod, as the operator's Jobs start it.

The request is in two parts, so that the Job contains no secret: everything else, as the annotation
that the pod sees at ``request/request.json``; and the Secrets and ConfigMaps that the CloudImage
names, mounted beside it. Progress goes to standard output, from where the operator has it by the
pod's log; the outcome is also the container's termination message, which stays readable as long as
the pod.
"""

import json
import logging
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from cloudimage import logs
from cloudimage.cloud.config import parse_clouds_yaml
from cloudimage.cloud.errors import CloudError
from cloudimage.runners.logic.job_manifest import CLAIM
from cloudimage.transfer.contract import Failure, Reason, Result, Texts, TransferError
from cloudimage.transfer.interrupts import Interrupts
from cloudimage.transfer.request import TransferRequest
from cloudimage.transfer.shared_scratch import CACHE, folder_of_a_pod
from cloudimage.transfer.tools import confinement
from cloudimage.transfer.worker import Outcome, carry_out

TERMINATION_MESSAGE_BYTES: Final = 4096
"""A container's termination message is cut off after so much (Kubernetes' API reference)."""

APPLIANCE: Final = "CLOUDIMAGE_CUSTOMIZE_APPLIANCE"
"""The variable by which the container image with libguestfs says where its appliance is."""

_OTHER_VOLUMES: Final = frozenset({"request", "cloud", CLAIM})

_log = logging.getLogger(__name__)


def run(mounts: Path, scratch: Path, termination_message: Path, *, shared: bool = False) -> int:
    """Move the image that the mounts describe; return the exit status.

    Args:
        mounts: The folder of the volumes.
        scratch: The folder for the transfer's files.
        termination_message: The file that becomes the termination message.
        shared: Whether other pods have the same scratch, to fetch and to convert only once.
    """
    # A line each, whatever is in it: both streams become one log, and its lines are events.
    logs.configure("INFO")
    with confinement.prepared(), ExitStack() as stack:

        def read(_: Interrupts) -> TransferRequest:
            if not shared:
                return assembled(mounts, scratch)
            return assembled(mounts, _own_folder(scratch, stack), scratch / CACHE)

        return carry_out(read, lambda outcome: _leave(termination_message, outcome))


def _own_folder(scratch: Path, stack: ExitStack) -> Path:
    """Make the pod's own folder in the shared scratch; the stack removes it.

    Raises:
        TransferError: ``InsufficientScratch``.
    """
    try:
        return stack.enter_context(folder_of_a_pod(scratch))
    except OSError as error:
        raise TransferError(
            Reason.INSUFFICIENT_SCRATCH,
            f"the Jobs' shared scratch cannot be used: {error.strerror}. Its "
            f"PersistentVolumeClaim must have room, and be writable by group {os.getgid()}",
        ) from error


def assembled(mounts: Path, scratch: Path, cache: Path | None = None) -> TransferRequest:
    """Return the request, put together from the mounts.

    Args:
        mounts: The folder of the volumes.
        scratch: The folder for the transfer's files.
        cache: The folder of what transfers share; None: nothing is shared.

    Raises:
        TransferError: ``InvalidCredentials``; what is mounted is not what the request needs.
        pydantic.ValidationError: The annotation is no request.
    """
    try:
        document = json.loads((mounts / "request" / "request.json").read_text())
        body = document["request"]
        clouds, ca_certificate = mounts / "cloud" / "clouds.yaml", mounts / "cloud" / "cacert"
        config = parse_clouds_yaml(clouds.read_text(), document["cloud"], _optional(ca_certificate))
        body["cloud"] = {"config": config.options, "ca_certificate": config.ca_certificate}
        texts = _texts(mounts)
    except CloudError as error:
        raise TransferError(Reason.INVALID_CREDENTIALS, str(error)) from error
    except OSError as error:
        raise TransferError(
            Reason.INVALID_CREDENTIALS, f"{error.filename} cannot be read: {error.strerror}"
        ) from error
    own = {
        "scratch": scratch,
        "cache": cache,
        "across_nodes": cache is not None,
        "appliance": os.environ.get(APPLIANCE) or None,
    }
    request = TransferRequest.model_validate({**body, **own})
    source = request.source.with_texts(texts).mounted_at(mounts / CLAIM)
    steps = request.customize and request.customize.with_texts(texts)
    return request.model_copy(update={"source": source, "customize": steps})


def _texts(mounts: Path) -> Texts:
    """Return what is mounted besides the request and the cloud, by volume and file."""
    return {
        volume.name: {path.name: path.read_text(errors="replace") for path in _files(volume)}
        for volume in mounts.iterdir()
        if volume.is_dir() and volume.name not in _OTHER_VOLUMES
    }


def _files(volume: Path) -> list[Path]:
    # Kubernetes' own files in a volume begin with two dots.
    return [path for path in volume.iterdir() if path.is_file() and path.name[:2] != ".."]


def _optional(path: Path) -> str | None:
    return path.read_text() if path.exists() else None


def _leave(path: Path, outcome: Outcome) -> None:
    try:
        path.write_text(termination_message(outcome))
    except OSError as error:
        _log.warning("the outcome is only in the log: %s", error.strerror)


def termination_message(outcome: Outcome) -> str:
    """Return the outcome as JSON, its sentences cut where it would be too long to be kept."""
    text = outcome.model_dump_json()
    if len(text.encode()) <= TERMINATION_MESSAGE_BYTES:
        return text
    shorter = _shorter(outcome)
    return text if shorter is None else termination_message(shorter)


def _shorter(outcome: Outcome) -> Outcome | None:
    """Return an outcome without what of it is needed least; None: nothing can be left out."""
    least = {"warnings": (), "left_out": (), "method_reason": ""}
    if isinstance(outcome, Result) and any(getattr(outcome, name) for name in least):
        return outcome.model_copy(update=least)
    if isinstance(outcome, Result | Failure) and outcome.lint and outcome.lint.findings:
        return outcome.model_copy(update={"lint": outcome.lint.shorter()})
    if isinstance(outcome, Result) and outcome.customize:
        return outcome.model_copy(update={"customize": ()})
    if not isinstance(outcome, Failure):
        return None
    if any(each.message for each in outcome.customize):  # the outcome's own has the same
        steps = tuple(each.model_copy(update={"message": ""}) for each in outcome.customize)
        return outcome.model_copy(update={"customize": steps})
    return outcome.model_copy(update={"message": outcome.message[: len(outcome.message) * 3 // 4]})
