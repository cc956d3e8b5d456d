"""The command line: run the operator, run one transfer, write the generated files."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from cloudimage import __version__, logs
from cloudimage.settings import Settings

app = typer.Typer(
    name="cloudimage",
    help="Keeps OpenStack Glance images as Kubernetes resources say.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,  # they would show credentials
)


def _version(*, show: bool) -> None:
    if show:
        typer.echo(f"cloudimage {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Options of every command."""


@app.command()
def run(  # noqa: PLR0913  # one parameter an option: that is typer's way
    *,
    scratch: Annotated[
        Path, typer.Option(envvar="CLOUDIMAGE_SCRATCH_DIR", help="Folder for transfers' files.")
    ] = Path("/tmp/cloudimage"),  # noqa: S108  # transfers make folders of mode 0700 in it
    namespaces: Annotated[
        str,
        typer.Option(
            envvar="CLOUDIMAGE_NAMESPACES", help="Namespaces, with commas between; empty: all."
        ),
    ] = "",
    max_concurrent_transfers: Annotated[
        int,
        typer.Option(
            envvar="CLOUDIMAGE_MAX_CONCURRENT_TRANSFERS", min=1, help="Transfers at once."
        ),
    ] = 4,
    resync_seconds: Annotated[
        float,
        typer.Option(
            envvar="CLOUDIMAGE_RESYNC_SECONDS", min=5, help="Seconds between looks at Glance."
        ),
    ] = 600.0,
    probe_address: Annotated[
        str, typer.Option(envvar="CLOUDIMAGE_PROBE_ADDRESS", help="host:port of /healthz.")
    ] = "",
    metrics_address: Annotated[
        str, typer.Option(envvar="CLOUDIMAGE_METRICS_ADDRESS", help="host:port of /metrics.")
    ] = "",
    log_level: Annotated[
        str, typer.Option(envvar="CLOUDIMAGE_LOG_LEVEL", help="DEBUG, INFO, WARNING or ERROR.")
    ] = "INFO",
) -> None:
    """Run the operator until it is told to stop."""
    # Imported here so that the other commands start without the Kubernetes client.
    from cloudimage import metrics  # noqa: PLC0415
    from cloudimage.handlers.operator import Operator, load_kubernetes_config  # noqa: PLC0415

    logs.configure(log_level.upper())
    scratch.mkdir(parents=True, exist_ok=True)
    load_kubernetes_config()
    if metrics_address:
        metrics.serve(metrics_address)
    logging.getLogger(__name__).info("starting", extra={"version": __version__})
    Operator(
        Settings(
            scratch=scratch,
            namespaces=tuple(name for name in namespaces.split(",") if name),
            max_concurrent_transfers=max_concurrent_transfers,
            resync_seconds=resync_seconds,
            probe_address=probe_address or None,
            metrics_address=metrics_address or None,
        )
    ).run()


@app.command()
def transfer() -> None:
    """Move one image: a request as a line of JSON in, events as lines of JSON out."""
    from cloudimage.transfer.__main__ import main as transfer_main  # noqa: PLC0415

    raise typer.Exit(transfer_main())


@app.command()
def crds(
    *,
    root: Annotated[Path, typer.Option(help="The repository.")] = Path(),
    check: Annotated[bool, typer.Option("--check", help="Only tell which would change.")] = False,
) -> None:
    """Write what is generated from the models: CRDs, the chart's copy, the reference."""
    from cloudimage import generated  # noqa: PLC0415

    if not check:
        generated.write(root)
    elif stale := generated.stale(root):
        typer.echo(f"not as the models say, run `make crds`: {', '.join(stale)}", err=True)
        raise typer.Exit(1)


def main() -> None:
    """Run the command line."""
    app()
