"""The commands between an image and a file on the user's own machine."""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from cloudimage.api.kinds import CLOUD_IMAGE
from cloudimage.cli import completion, options
from cloudimage.cli.arguments import Target, Where, targets
from cloudimage.cli.connecting import cluster_of, config_of, own_config, told
from cloudimage.cli.errors import CommandError
from cloudimage.transfer.image.qemu_formats import QEMU_FORMATS
from cloudimage.vocabulary.image import DiskFormat

if TYPE_CHECKING:
    from cloudimage.cloud.config import CloudConfig

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

_FORMAT = click.Choice(get_args(DiskFormat))


@click.command()
@click.argument("image", metavar="NAME|ID", shell_complete=completion.images)
@click.option(
    "--file",
    "-f",
    "place",
    required=True,
    type=click.Path(allow_dash=True),
    help="File to write, or - for standard output.",
)
@click.option(
    "--format",
    "shape",
    type=click.Choice(list(QEMU_FORMATS)),
    show_default="the image's own, byte for byte",
    help="Disk format to convert to.",
)
@click.option("--force", is_flag=True, help="Replace the file if it is there already.")
@click.option(
    "--os-cloud",
    show_default="the CloudImage's Secret; for an ID, OS_CLOUD",
    help="The cloud in your own clouds.yaml, which is looked up as the openstack client does.",
)
@options.cluster
@options.scratch
def save(image: str, place: str, shape: str | None, os_cloud: str | None, **given: Any) -> None:  # noqa: ANN401  # its options
    """Save an image from Glance to a file, verified by Glance's hash.

    NAME is a CloudImage, ID an image in Glance that needs none. The file gets its name once it is
    whole; what an interrupted run has left beside it is resumed. Zeros take no place on the disk.

    For example: cloudimage save debian-12 --file debian-12.qcow2 --format qcow2
    """
    from cloudimage.cli import save as by_hand
    from cloudimage.credentials.lending import lend

    with told():
        by_hand.check_place(place, force=given["force"])
        image_id, config = _image(image, os_cloud, given["where"])
    wanted = by_hand.Wanted(
        image_id=image_id,
        cloud=lend(config),
        place=place,
        format=next((each for each in QEMU_FORMATS if each == shape), None),
        force=given["force"],
        scratch=given["scratch"],
        max_scratch=given["max_scratch_gib"] * 2**30,
    )
    raise click.exceptions.Exit(by_hand.run(wanted))


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--name", required=True, shell_complete=completion.images, help="Name of the CloudImage."
)
@click.option("--source-format", type=_FORMAT, help="Refuse a file in another format.")
@click.option("--secret", help="To create it: Secret with the clouds.yaml.")
@click.option("--cloud", help="To create it: the cloud in that clouds.yaml.")
@click.option("--disk-format", type=_FORMAT, help="To create it: disk format to convert to.")
@click.option(
    "--os-cloud",
    show_default="the CloudImage's Secret",
    help="The cloud in your own clouds.yaml, which is looked up as the openstack client does.",
)
@click.option("--replace", is_flag=True, help="Change the spec to have this file.")
@click.option("--take-over", is_flag=True, help="Give up an upload that another began.")
@options.cluster
@options.scratch
def upload(file: Path, where: Where, **given: Any) -> None:  # noqa: ANN401  # its options
    """Upload a file as the image of a CloudImage with the source upload; print the image's id.

    The file is verified, inspected, converted, uploaded and compared on your own machine, as the
    operator does it, with the CloudImage's Secret if you may read it, else with your own
    clouds.yaml. Without such a CloudImage, --secret and --cloud have it created.

    For example: kubectl cloudimage upload debian-12.qcow2 --name debian-12 -n images
    """
    from cloudimage.cli import upload as by_hand

    given["declared"] = given.pop("source_format")
    given["max_scratch"] = given.pop("max_scratch_gib") * 2**30
    raise click.exceptions.Exit(by_hand.run(by_hand.Wanted(path=file, **given), where))


def _image(image: str, os_cloud: str | None, where: Where) -> "tuple[str, CloudConfig]":
    """Return an image's id, and how to reach its cloud.

    Raises:
        CommandError: There is no such image yet, or its cloud cannot be reached.
    """
    if _UUID.fullmatch(image):
        cloud = os_cloud or os.environ.get("OS_CLOUD")
        if not cloud:
            raise CommandError("An ID needs --os-cloud: the cloud of your clouds.yaml that has it.")
        return image.lower(), own_config(cloud)
    target = cloud_image(image)
    with cluster_of(where) as cluster:
        from cloudimage.api.cloudimage import CloudImage

        resource = CloudImage.model_validate(cluster.read(target))
        image_id = resource.status.image_id
        if image_id is None:
            raise CommandError(
                f"CloudImage {target.name} has no image yet; cloudimage describe {target.name} "
                "says why."
            )
        return image_id, config_of(cluster, resource.spec.cloud_credentials_ref, os_cloud)


def cloud_image(word: str) -> Target:
    """Return the CloudImage that a word names.

    Raises:
        click.BadParameter: It names something else.
    """
    try:
        (target,) = targets((f"{CLOUD_IMAGE.singular}/{word}" if "/" not in word else word,))
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    if target.kind is not CLOUD_IMAGE:
        raise click.BadParameter(f"{word} is no CloudImage")
    return target


COMMANDS = (save, upload)
