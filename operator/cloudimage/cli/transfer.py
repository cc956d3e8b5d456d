"""``cloudimage transfer``: one image moved by hand, with a progress bar on a terminal."""

import os
import re
import sys
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TransferSpeedColumn,
)

from cloudimage.access.local import LocalCloudError, find
from cloudimage.access.policy import OPEN
from cloudimage.cli.local_scratch import default_scratch, private, run_folder
from cloudimage.cloud.config import CloudConfig
from cloudimage.cloud.connection import open_cloud
from cloudimage.cloud.errors import CloudError
from cloudimage.images.logic.metadata import without_marks
from cloudimage.plaintext import plain
from cloudimage.transfer import contract
from cloudimage.transfer.interrupts import Interrupts
from cloudimage.transfer.pipeline import transfer
from cloudimage.transfer.progress import Meter
from cloudimage.transfer.request import TransferRequest
from cloudimage.transfer.resource_limits import restrain
from cloudimage.transfer.source.http.model import HttpAuth, HttpSource
from cloudimage.transfer.verify.checksum_lines import HEX_LENGTHS
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
    restrain(limits)
    interrupts = Interrupts()
    interrupts.install()
    console = Console(stderr=True)
    try:
        config, ca_certificate = find(wanted.cloud)
        cloud = contract.Cloud(config=config, ca_certificate=ca_certificate)
        scratch = wanted.scratch or private(default_scratch())
        cache = private(scratch / "cache")
        with run_folder(scratch, cache) as folder, _bars(console) as bars:
            meter = Meter(_Display(bars).show)
            request = _request(wanted, cloud, folder, cache, limits)
            result = transfer(request, meter, interrupts)
            interrupts.finish()
    except LocalCloudError as error:
        console.print(plain(str(error)), style="red", markup=False)
        return 1
    except contract.TransferError as error:
        console.print(plain(f"{error.reason}: {error.message}"), style="red", markup=False)
        return 1
    except KeyboardInterrupt:
        console.print("interrupted; the fetched bytes are kept for the next run", style="red")
        return 130
    for each in (*result.warnings, *result.left_out):
        console.print(plain(each), style="yellow", markup=False)
    sys.stdout.write(f"{result.image_id}\n")
    try:
        _publish(CloudConfig(config, ca_certificate), result.image_id, wanted.visibility)
    except CloudError as error:
        console.print(
            plain(
                "the image is in Glance and verified, but still private and hidden, because its "
                f"visibility could not be set to {wanted.visibility}: {error}"
            ),
            style="red",
            markup=False,
        )
        return 1
    return 0


def _publish(config: CloudConfig, image_id: str, visibility: str) -> None:
    """Show the verified image, and make it nobody's: no CloudImage owns it."""
    with open_cloud(config) as cloud:
        image = cloud.glance.get(image_id)
        marks = without_marks(image) if image else ()
        shown = (
            {"op": "replace", "path": "/os_hidden", "value": False},
            {"op": "replace", "path": "/visibility", "value": visibility},
        )
        cloud.glance.patch(image_id, (*marks, *shown))


def _bars(console: Console) -> Progress:
    columns = (
        TextColumn("{task.description:<12}"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
    )
    return Progress(*columns, console=console, transient=False)


class _Display:
    """A bar for each stage, the earlier ones full."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[contract.Stage, TaskID] = {}

    def show(self, progress: contract.Progress) -> None:
        """Draw what a transfer tells."""
        if progress.stage not in self._tasks:
            for task in self._tasks.values():
                self._bars.stop_task(task)
            self._tasks[progress.stage] = self._bars.add_task(progress.stage, total=progress.total)
        self._bars.update(
            self._tasks[progress.stage], completed=progress.transferred, total=progress.total
        )


def proof(checksums_url: str, signature_url: str, keyring: Path | None) -> dict[str, Any]:
    """Return the source's ``sums`` and ``signature``; that is over the sums where there are some.

    Raises:
        ValueError: A signature needs a keyring, and a keyring something that is signed.
    """
    if signature_url and keyring is None:
        raise ValueError("a signature needs --keyring, the trusted public keys")
    if keyring is not None and not (signature_url or checksums_url):
        raise ValueError("--keyring needs --signature-url or a clearsigned --checksums-url")
    signature = None
    if keyring is not None:
        signature = {"url": signature_url or None, "keyring": keyring.read_text()}
    if checksums_url:
        return {"sums": {"url": checksums_url, "signature": signature}}
    return {"signature": signature}


def auth() -> HttpAuth | None:
    """Return what the source wants to see, from the environment: arguments are seen by all.

    Raises:
        ValueError: There is a token beside a user's name or password.
    """
    user, password, token = (
        os.environ.get(f"CLOUDIMAGE_SOURCE_{name}") or None
        for name in ("USERNAME", "PASSWORD", "TOKEN")
    )
    if token and (user or password):
        raise ValueError("CLOUDIMAGE_SOURCE_TOKEN cannot be combined with a username and password")
    if password and not user:
        raise ValueError("CLOUDIMAGE_SOURCE_PASSWORD needs CLOUDIMAGE_SOURCE_USERNAME")
    return HttpAuth(username=user, password=password, bearer=token) if user or token else None


def checksum(text: str) -> dict[str, str] | None:
    """Return ``algorithm:hash`` in parts; None for an empty text.

    Raises:
        ValueError: It is not of that form, or no hash of that algorithm.
    """
    if not text:
        return None
    algorithm, _, value = text.lower().partition(":")
    lengths = {str(name): length for name, length in HEX_LENGTHS.items()}
    if algorithm not in lengths:
        raise ValueError(f"a checksum is algorithm:hash, with one of {', '.join(lengths)}")
    if not re.fullmatch(f"[0-9a-f]{{{lengths[algorithm]}}}", value):
        raise ValueError(f"a hash of {algorithm} has {lengths[algorithm]} hexadecimal digits")
    return {"algorithm": algorithm, "value": value}


def new_image(name: str, properties: Sequence[str], **attributes: object) -> contract.NewImage:
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
