"""``cloudimage transfer``: one image moved by hand, with a progress bar on a terminal."""

import sys
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from cloudimage.access.local import find
from cloudimage.access.policy import OPEN
from cloudimage.cli.by_hand import bars, http_source, refused, workplace
from cloudimage.cli.errors import CommandError
from cloudimage.cloud.config import CloudConfig
from cloudimage.cloud.connection import open_cloud
from cloudimage.cloud.errors import CloudError
from cloudimage.images.logic.metadata import without_marks
from cloudimage.plaintext import plain
from cloudimage.transfer import contract
from cloudimage.transfer.pipeline import transfer
from cloudimage.transfer.progress import Meter
from cloudimage.transfer.request import TransferRequest
from cloudimage.transfer.source.http.model import HttpSource
from cloudimage.vocabulary.image import Visibility


@dataclass(frozen=True)
class CommandRequest:
    """What the command line asks for, already in the transfer's own contract.

    Attributes:
        cloud: The entry of clouds.yaml, in the files that openstacksdk reads.
        visibility: Glance's, once the image is verified.
        scratch: Where files go; None: a folder of the user's own.
        max_scratch: Bytes that they may take, those kept for the next time among them.
    """

    source: HttpSource
    image: contract.NewImage
    method: contract.Import
    cloud: str
    visibility: Visibility
    scratch: Path | None
    max_scratch: int


def wanted(given: Mapping[str, Any]) -> CommandRequest:
    """Return what the options ask for, by their names.

    Raises:
        ValueError: One of them is invalid; with a sentence.
    """
    return CommandRequest(
        source=http_source(given["url"], given),
        image=_new_image(
            given["name"],
            given["prop"],
            disk_format=given["disk_format"] or None,
            container_format=given["container_format"],
            min_disk=given["min_disk"] or None,
            min_ram=given["min_ram"] or None,
            tags=given["tag"],
        ),
        method=contract.Import.model_validate(
            {"method": given["method"], "stores": given["store"]}
        ),
        cloud=given["os_cloud"],
        visibility=given["visibility"],
        scratch=given["scratch"],
        max_scratch=given["max_scratch_gib"] * 2**30,
    )


def _request(
    wanted: CommandRequest,
    cloud: contract.Cloud,
    folder: Path,
    cache: Path,
    limits: contract.Limits,
) -> TransferRequest:
    """Return the request of a transfer by hand: any URL is fine, it is the user's own machine."""
    return TransferRequest(
        source=wanted.source,
        image=wanted.image,
        cloud=cloud,
        scratch=folder,
        cache=cache,
        method=wanted.method,
        policy=contract.UNRESTRICTED,
        cloud_policy=OPEN,
        limits=limits,
    )


def run(wanted: CommandRequest) -> int:
    """Move the image, show it, print its id on standard output; return the exit status."""
    limits = contract.Limits(max_scratch=wanted.max_scratch)
    console = Console(stderr=True)
    with refused(console) as outcome:
        config, ca_certificate = find(wanted.cloud)
        cloud = contract.Cloud(config=config, ca_certificate=ca_certificate)
        with (
            workplace(wanted.scratch, limits) as (folder, cache, interrupts),
            bars(console) as show,
        ):
            request = _request(wanted, cloud, folder, cache, limits)
            result = transfer(request, Meter(show), interrupts)
            interrupts.finish()
        for each in (*result.warnings, *result.left_out):
            console.print(plain(each), style="yellow", markup=False)
        sys.stdout.write(f"{result.image_id}\n")
        _publish(CloudConfig(config, ca_certificate), result.image_id, wanted.visibility)
    return outcome.status


def _publish(config: CloudConfig, image_id: str, visibility: str) -> None:
    """Show the verified image, and make it nobody's: no CloudImage owns it.

    Raises:
        CommandError: The cloud does not let us.
    """
    try:
        with open_cloud(config) as cloud:
            image = cloud.glance.get(image_id)
            marks = without_marks(image) if image else ()
            shown = (
                {"op": "replace", "path": "/os_hidden", "value": False},
                {"op": "replace", "path": "/visibility", "value": visibility},
            )
            cloud.glance.patch(image_id, (*marks, *shown))
    except CloudError as error:
        raise CommandError(
            "the image is in Glance and verified, but still private and hidden, because its "
            f"visibility could not be set to {visibility}: {error}"
        ) from error


def _new_image(name: str, properties: Sequence[str], **attributes: object) -> contract.NewImage:
    """Return the image to make, with an id of its own each time.

    Raises:
        ValueError: A property is not ``name=value``, or Glance has no such attribute's value.
    """
    pairs = [each.partition("=") for each in properties]
    if broken := [key for key, equals, _ in pairs if not equals]:
        raise ValueError(f"a property is name=value: {', '.join(broken)}")
    return contract.NewImage.model_validate(
        {
            "id_seed": str(uuid.uuid4()),
            "name": name,
            "properties": {key: value for key, _, value in pairs},
            **attributes,
        }
    )
