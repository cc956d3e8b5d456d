"""The command line: all commands together; the operator's own, but for run, are defined here."""

from pathlib import Path
from typing import Any, get_args

import click

from cloudimage import __version__, revision
from cloudimage.cli import files, objects, options, previews
from cloudimage.cli.catalogue import catalogue, new
from cloudimage.cli.completion import completion
from cloudimage.cli.group import Group
from cloudimage.cli.import_command import import_
from cloudimage.cli.migrate_command import migrate
from cloudimage.cli.run import run
from cloudimage.vocabulary.image import Visibility


def _version(ctx: click.Context, _: click.Parameter, show: bool) -> None:  # noqa: FBT001  # click's
    if show and not ctx.resilient_parsing:
        commit = f" (commit {revision()})" if revision() else ""
        click.echo(f"cloudimage {__version__}{commit}")
        ctx.exit()


@click.group("cloudimage", cls=Group)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_version,
    help="Show the version.",
)
def app() -> None:
    """Manages OpenStack Glance images declaratively, as Kubernetes resources."""


@click.command()
@click.option("--url", required=True, help="URL of the source file.")
@click.option("--name", required=True, help="Name of the new image in Glance.")
@click.option(
    "--os-cloud",
    required=True,
    envvar="OS_CLOUD",
    show_envvar=True,
    help="The cloud in clouds.yaml, which is looked up as the openstack client does.",
)
@options.source
@click.option("--disk-format", help="Disk format to convert to.")
@click.option(
    "--container-format", default="bare", show_default=True, help="Glance's container_format."
)
@click.option(
    "--visibility",
    type=click.Choice(get_args(Visibility)),
    default="private",
    show_default=True,
    help="Who can see the image once it is verified.",
)
@click.option(
    "--min-disk", type=click.IntRange(min=0), default=0, help="Glance's min_disk, in GiB."
)
@click.option("--min-ram", type=click.IntRange(min=0), default=0, help="Glance's min_ram, in MiB.")
@click.option("--tag", multiple=True, help="A tag; repeatable.")
@click.option("--property", "prop", multiple=True, help="name=value; repeatable.")
@click.option(
    "--method",
    default="Auto",
    show_default=True,
    help="Auto, Upload, GlanceDirect or WebDownload.",
)
@click.option("--store", multiple=True, help="A Glance store; repeatable.")
@options.scratch
def transfer(**given: Any) -> None:  # noqa: ANN401  # its options
    """Transfer one image into Glance by hand, as the operator does; print its id.

    The image is fetched, verified, inspected, converted, uploaded and compared; a failure leaves
    nothing in Glance. The fetched file is kept, so that it need not be fetched again.

    The source's credentials come from the environment: CLOUDIMAGE_SOURCE_USERNAME and
    CLOUDIMAGE_SOURCE_PASSWORD, or CLOUDIMAGE_SOURCE_TOKEN.
    """
    from cloudimage.cli import transfer as by_hand

    try:
        wanted = by_hand.wanted(given)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    raise click.exceptions.Exit(by_hand.run(wanted))


@click.command()
@options.image
def inspect(place: str, output: str | None, **given: Any) -> None:  # noqa: ANN401  # its options
    """Show what an image is, as qemu-img info does, without trusting the file.

    It is fetched, verified, unpacked and inspected as for a CloudImage, under the same limits. The
    exit status is 1 for a file that a CloudImage would not take; why is said.

    The source's credentials come from the environment, as for transfer.
    """
    from cloudimage.cli import inspect as by_hand

    try:
        wanted = by_hand.wanted(place, given)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    raise click.exceptions.Exit(by_hand.run(wanted, as_json=output == "json"))


@click.command()
@options.image
def lint(place: str, output: str | None, **given: Any) -> None:  # noqa: ANN401  # its options
    """Look into an image for what does not belong in a cloud, as spec.lint has it done.

    Passwords, SSH keys, a machine id, logs, or no cloud-init. The exit status is 0 if nothing was
    found, 1 with findings or for a file that a CloudImage would not take, and 3 if the image
    cannot be looked into, because it has no Linux or a file system that is not known.

    The source's credentials come from the environment, as for transfer.
    """
    from cloudimage.cli import inspect
    from cloudimage.cli import lint as by_hand

    try:
        wanted = inspect.wanted(place, given)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    raise click.exceptions.Exit(by_hand.run(wanted, as_json=output == "json"))


@click.command("transfer-job", hidden=True)
@click.option("--mounts", type=click.Path(path_type=Path), required=True)
@click.option("--termination-message", type=click.Path(path_type=Path), required=True)
@click.option(
    "--scratch",
    type=click.Path(path_type=Path),
    envvar="CLOUDIMAGE_SCRATCH_DIR",
    default=Path("/scratch"),
)
@click.option("--shared-scratch", is_flag=True)
def transfer_job(
    mounts: Path,
    termination_message: Path,
    scratch: Path,
    shared_scratch: bool,  # noqa: FBT001  # an option
) -> None:
    """Transfer one image in the pod of a Job that the operator made; not for use by hand."""
    from cloudimage.cli import transfer_job as of_a_job

    status = of_a_job.run(mounts, scratch, termination_message, shared=shared_scratch)
    raise click.exceptions.Exit(status)


@click.command()
@click.option("--root", type=click.Path(path_type=Path), default=Path(), help="The repository.")
@click.option("--check", is_flag=True, help="Only list the files that would change.")
def crds(root: Path, check: bool) -> None:  # noqa: FBT001  # an option
    """Write the generated files: CRDs, the chart's copy, the reference."""
    from cloudimage.codegen import files as generated

    if not check:
        generated.write(root)
    elif stale := generated.stale(root):
        click.echo(
            f"generated files are out of date, run `make crds`: {', '.join(stale)}", err=True
        )
        raise click.exceptions.Exit(1)


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
def metadefs(folder: Path) -> None:
    """Print known_properties.json, generated from the metadata definitions in Glance's etc."""
    from cloudimage.codegen import known_properties as definitions

    click.echo(definitions.render(folder), nl=False)


app.add(
    "Your images and shares",
    *objects.COMMANDS,
    catalogue,
    new,
    migrate,
    import_,
    *previews.COMMANDS,
    transfer,
    inspect,
    lint,
    *files.COMMANDS,
)
app.add("The operator and its sources", run, crds, metadefs)
app.add("This program", completion)
app.add_command(transfer_job)
