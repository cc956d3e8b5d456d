"""The command line: all commands, and those that are a few lines over a module of theirs."""

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
    help="Keeps OpenStack Glance images as Kubernetes resources say.",
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
    url: Annotated[str, typer.Option(help="URL of the image file.")],
    name: Annotated[str, typer.Option(help="Name of the new image in Glance.")],
    os_cloud: Annotated[
        str, typer.Option(envvar="OS_CLOUD", help="Cloud of clouds.yaml, where openstack finds it.")
    ],
    mirror: Annotated[list[str] | None, typer.Option(help="Another URL of it; repeatable.")] = None,
    checksum: Annotated[str, typer.Option(help="algorithm:hash, for instance sha256:ab12...")] = "",
    checksums_url: Annotated[
        str, typer.Option(help="URL of a file of checksums that has the image's.")
    ] = "",
    signature_url: Annotated[
        str,
        typer.Option(
            help="URL of an OpenPGP signature: over the file of checksums, else over the image."
        ),
    ] = "",
    keyring: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="File of the public keys that count, ASCII-armored. With no --signature-url the "
            "file of checksums must be clearsigned.",
        ),
    ] = None,
    ca_certificate: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="PEM file that the source's TLS is verified with."
        ),
    ] = None,
    disk_format: Annotated[str, typer.Option(help="Convert to this format.")] = "",
    source_format: Annotated[str, typer.Option(help="Refuse the file unless it is this.")] = "",
    container_format: Annotated[str, typer.Option(help="Glance's container_format.")] = "bare",
    visibility: Annotated[Visibility, typer.Option(help="Who sees it, once verified.")] = "private",
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
            help="Folder for its files.",
            show_default="cloudimage in XDG_CACHE_HOME or ~/.cache",
        ),
    ] = None,
    max_scratch_gib: Annotated[
        int,
        typer.Option(
            envvar="CLOUDIMAGE_MAX_SCRATCH_GIB",
            min=1,
            help="GiB that its files may take, with what is kept of earlier transfers.",
        ),
    ] = 100,
) -> None:
    """Move one image into Glance by hand, as the operator does; print its id.

    It is fetched, verified, inspected, converted, uploaded and compared; whatever fails leaves
    nothing in Glance. What was fetched is kept, so that it is not fetched again.

    Credentials for the source come from the environment: CLOUDIMAGE_SOURCE_USERNAME and
    CLOUDIMAGE_SOURCE_PASSWORD, or CLOUDIMAGE_SOURCE_TOKEN.
    """
    from cloudimage.cli import transfer as transfer_command
    from cloudimage.transfer.source.http.model import HttpSource

    try:
        wanted = transfer_command.Wanted(
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
    mounts: Annotated[Path, typer.Option(help="Folder of the volumes with the request.")] = Path(
        MOUNTS
    ),
    last_words: Annotated[Path, typer.Option(help="File of the termination message.")] = Path(
        "/dev/termination-log"
    ),
    scratch: Annotated[
        Path, typer.Option(envvar="CLOUDIMAGE_SCRATCH_DIR", help="Folder for its files.")
    ] = Path("/scratch"),
) -> None:
    """Move one image in the pod of a Job that the operator made; not for use by hand."""
    from cloudimage.cli import transfer_job

    raise typer.Exit(transfer_job.run(mounts, scratch, last_words))


@app.command(rich_help_panel=_OPERATOR)
def crds(
    *,
    root: Annotated[Path, typer.Option(help="The repository.")] = Path(),
    check: Annotated[bool, typer.Option("--check", help="Only tell which would change.")] = False,
) -> None:
    """Write what is generated from the models: CRDs, the chart's copy, the reference."""
    from cloudimage.codegen import files as generated

    if not check:
        generated.write(root)
    elif stale := generated.stale(root):
        typer.echo(f"not as the models say, run `make crds`: {', '.join(stale)}", err=True)
        raise typer.Exit(1)


@app.command(rich_help_panel=_OPERATOR)
def metadefs(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="etc/metadefs.")],
) -> None:
    """Print known_properties.json as Glance's metadata definitions have it."""
    from cloudimage.codegen import known_properties as definitions

    typer.echo(definitions.render(folder), nl=False)
