"""The command line: registers all commands; the short ones are defined here."""

from pathlib import Path
from typing import Annotated

import typer

from cloudimage import __version__, revision
from cloudimage.cli import objects
from cloudimage.cli.run import run
from cloudimage.runners.logic.job_manifest import MOUNTS
from cloudimage.transfer import contract
from cloudimage.vocabulary.image import Visibility

app = typer.Typer(
    name="cloudimage",
    help="Manages OpenStack Glance images declaratively, as Kubernetes resources.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,  # they would show credentials
)
objects.register(app)
_OPERATOR = "The operator and its sources"


def _version(*, show: bool) -> None:
    if show:
        commit = f" (commit {revision()})" if revision() else ""
        typer.echo(f"cloudimage {__version__}{commit}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Options of every command."""


app.command(rich_help_panel=_OPERATOR)(run)


@app.command(rich_help_panel=objects.PANEL)
def transfer(  # noqa: PLR0913  # one parameter an option: that is typer's way
    *,
    url: Annotated[str, typer.Option(help="URL of the source file.")],
    name: Annotated[str, typer.Option(help="Name of the new image in Glance.")],
    os_cloud: Annotated[
        str,
        typer.Option(
            envvar="OS_CLOUD",
            help="The cloud in clouds.yaml, which is looked up as the openstack client does.",
        ),
    ],
    mirror: Annotated[
        list[str] | None, typer.Option(help="Another URL of the same file; repeatable.")
    ] = None,
    checksum: Annotated[
        str,
        typer.Option(
            help="Checksum of the source file as algorithm:hash, for example sha256:ab12..."
        ),
    ] = "",
    checksums_url: Annotated[
        str, typer.Option(help="URL of a checksum file that lists the source file.")
    ] = "",
    signature_url: Annotated[
        str,
        typer.Option(
            help="URL of an OpenPGP signature of the checksum file if one is given, otherwise of "
            "the source file."
        ),
    ] = "",
    keyring: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="File with the trusted public keys, ASCII-armored. Without --signature-url the "
            "checksum file must be clearsigned.",
        ),
    ] = None,
    ca_certificate: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="PEM file of CA certificates for the source's TLS."
        ),
    ] = None,
    disk_format: Annotated[str, typer.Option(help="Disk format to convert to.")] = "",
    source_format: Annotated[
        str, typer.Option(help="Refuse the file unless it has this disk format.")
    ] = "",
    container_format: Annotated[str, typer.Option(help="Glance's container_format.")] = "bare",
    visibility: Annotated[
        Visibility, typer.Option(help="Who can see the image once it is verified.")
    ] = "private",
    min_disk: Annotated[int, typer.Option(min=0, help="Glance's min_disk, in GiB.")] = 0,
    min_ram: Annotated[int, typer.Option(min=0, help="Glance's min_ram, in MiB.")] = 0,
    tag: Annotated[list[str] | None, typer.Option(help="A tag; repeatable.")] = None,
    prop: Annotated[
        list[str] | None, typer.Option("--property", help="name=value; repeatable.")
    ] = None,
    method: Annotated[
        str, typer.Option(help="Auto, Upload, GlanceDirect or WebDownload.")
    ] = "Auto",
    store: Annotated[list[str] | None, typer.Option(help="A Glance store; repeatable.")] = None,
    scratch: Annotated[
        Path | None,
        typer.Option(
            envvar="CLOUDIMAGE_SCRATCH_DIR",
            help="Folder for the transfer's files.",
            show_default="cloudimage in XDG_CACHE_HOME or ~/.cache",
        ),
    ] = None,
    max_scratch_gib: Annotated[
        int,
        typer.Option(
            envvar="CLOUDIMAGE_MAX_SCRATCH_GIB",
            min=1,
            help="GiB that the files may take, including those kept from earlier transfers.",
        ),
    ] = 100,
) -> None:
    """Transfer one image into Glance by hand, as the operator does; print its id.

    The image is fetched, verified, inspected, converted, uploaded and compared; a failure leaves
    nothing in Glance. The fetched file is kept, so that it need not be fetched again.

    The source's credentials come from the environment: CLOUDIMAGE_SOURCE_USERNAME and
    CLOUDIMAGE_SOURCE_PASSWORD, or CLOUDIMAGE_SOURCE_TOKEN.
    """
    from cloudimage.cli import transfer as transfer_command
    from cloudimage.transfer.source.http.model import HttpSource

    try:
        wanted = transfer_command.CommandRequest(
            source=HttpSource.model_validate(
                {
                    "url": url,
                    "mirrors": mirror or (),
                    "checksum": transfer_command.checksum(checksum),
                    "format": source_format or None,
                    "auth": transfer_command.auth(),
                    "ca_certificate": ca_certificate.read_text() if ca_certificate else None,
                    **transfer_command.proof(checksums_url, signature_url, keyring),
                }
            ),
            image=transfer_command.new_image(
                name,
                prop or (),
                disk_format=disk_format or None,
                container_format=container_format,
                min_disk=min_disk or None,
                min_ram=min_ram or None,
                tags=tuple(tag or ()),
            ),
            method=contract.Import.model_validate({"method": method, "stores": store or ()}),
            cloud=os_cloud,
            visibility=visibility,
            scratch=scratch,
            max_scratch=max_scratch_gib * 2**30,
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    raise typer.Exit(transfer_command.run(wanted))


@app.command("transfer-job", hidden=True)
def transfer_job(
    *,
    mounts: Annotated[
        Path, typer.Option(help="Folder where the request's volumes are mounted.")
    ] = Path(MOUNTS),
    termination_message: Annotated[
        Path, typer.Option(help="File to write the termination message to.")
    ] = Path("/dev/termination-log"),
    scratch: Annotated[
        Path, typer.Option(envvar="CLOUDIMAGE_SCRATCH_DIR", help="Folder for the transfer's files.")
    ] = Path("/scratch"),
) -> None:
    """Transfer one image in the pod of a Job that the operator made; not for use by hand."""
    from cloudimage.cli import transfer_job

    raise typer.Exit(transfer_job.run(mounts, scratch, termination_message))


@app.command(rich_help_panel=_OPERATOR)
def crds(
    *,
    root: Annotated[Path, typer.Option(help="The repository.")] = Path(),
    check: Annotated[
        bool, typer.Option("--check", help="Only list the files that would change.")
    ] = False,
) -> None:
    """Write the generated files: CRDs, the chart's copy, the reference."""
    from cloudimage.codegen import files as generated

    if not check:
        generated.write(root)
    elif stale := generated.stale(root):
        typer.echo(
            f"generated files are out of date, run `make crds`: {', '.join(stale)}", err=True
        )
        raise typer.Exit(1)


@app.command(rich_help_panel=_OPERATOR)
def metadefs(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="etc/metadefs.")],
) -> None:
    """Print known_properties.json, generated from Glance's metadata definitions."""
    from cloudimage.codegen import known_properties as definitions

    typer.echo(definitions.render(folder), nl=False)
