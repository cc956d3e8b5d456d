"""The command line: run the operator, run one transfer, write the generated files."""

import json
import logging
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from cloudimage import __version__, logs, revision
from cloudimage.commands import user
from cloudimage.reconcile.job_manifest import MOUNTS, JobTemplate
from cloudimage.reconcile.lease import Terms
from cloudimage.settings import Settings
from cloudimage.transfer import types
from cloudimage.vocabulary import Visibility

app = typer.Typer(
    name="cloudimage",
    help="Keeps OpenStack Glance images as Kubernetes resources say.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,  # they would show credentials
)
user.register(app)
_OPERATOR = "The operator and its sources"


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in (each.strip() for each in text.split(",")) if word)


def _object(text: str) -> dict[str, Any]:
    """Return a JSON object.

    Raises:
        ValueError: It is none.
    """
    value = json.loads(text or "{}")
    if not isinstance(value, dict):
        raise ValueError(f"{text} is no JSON object")  # noqa: TRY004  # an option's value
    return value


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


@app.command(rich_help_panel=_OPERATOR)
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
    ] = 1800.0,
    probe_address: Annotated[
        str, typer.Option(envvar="CLOUDIMAGE_PROBE_ADDRESS", help="host:port of /healthz.")
    ] = "",
    metrics_address: Annotated[
        str, typer.Option(envvar="CLOUDIMAGE_METRICS_ADDRESS", help="host:port of /metrics.")
    ] = "",
    max_scratch_gib: Annotated[
        int,
        typer.Option(
            envvar="CLOUDIMAGE_MAX_SCRATCH_GIB", min=1, help="GiB that fetched files may take."
        ),
    ] = 1024,
    max_virtual_size_gib: Annotated[
        int,
        typer.Option(
            envvar="CLOUDIMAGE_MAX_VIRTUAL_SIZE_GIB", min=1, help="GiB; larger disks are refused."
        ),
    ] = 4096,
    allow_networks: Annotated[
        str,
        typer.Option(
            envvar="CLOUDIMAGE_ALLOW_NETWORKS",
            help="CIDRs, with commas between, that images may be fetched from although they are "
            "private, loopback or link-local.",
        ),
    ] = "",
    deny_networks: Annotated[
        str,
        typer.Option(
            envvar="CLOUDIMAGE_DENY_NETWORKS",
            help="CIDRs, with commas between, that are refused whatever else allows them.",
        ),
    ] = "",
    schemes: Annotated[
        str,
        typer.Option(envvar="CLOUDIMAGE_SCHEMES", help="URL schemes that images may have."),
    ] = "http,https",
    log_level: Annotated[
        str, typer.Option(envvar="CLOUDIMAGE_LOG_LEVEL", help="DEBUG, INFO, WARNING or ERROR.")
    ] = "INFO",
    runner: Annotated[
        Literal["child", "job"],
        typer.Option(
            envvar="CLOUDIMAGE_RUNNER",
            help="Transfers are child processes of the operator, or Kubernetes Jobs.",
        ),
    ] = "child",
    job_image: Annotated[
        str, typer.Option(envvar="CLOUDIMAGE_JOB_IMAGE", help="Container image of the Jobs.")
    ] = "",
    job_pull_policy: Annotated[
        str, typer.Option(envvar="CLOUDIMAGE_JOB_PULL_POLICY", help="imagePullPolicy of the Jobs.")
    ] = "IfNotPresent",
    job_scratch_size: Annotated[
        str,
        typer.Option(
            envvar="CLOUDIMAGE_JOB_SCRATCH_SIZE", help="Quantity: room for one Job's files."
        ),
    ] = "50Gi",
    job_storage_class: Annotated[
        str,
        typer.Option(
            envvar="CLOUDIMAGE_JOB_STORAGE_CLASS",
            help="StorageClass of a volume for each Job's files; empty: an emptyDir.",
        ),
    ] = "",
    job_deadline_seconds: Annotated[
        int,
        typer.Option(
            envvar="CLOUDIMAGE_JOB_DEADLINE_SECONDS", min=1, help="Seconds a Job may take."
        ),
    ] = 86400,
    job_resources: Annotated[
        str,
        typer.Option(
            envvar="CLOUDIMAGE_JOB_RESOURCES", help="JSON: requests and limits of the Jobs."
        ),
    ] = "",
    job_env: Annotated[
        str,
        typer.Option(
            envvar="CLOUDIMAGE_JOB_ENV",
            help="JSON: environment variables of the Jobs, by name; no secrets.",
        ),
    ] = "",
    job_pod: Annotated[
        str,
        typer.Option(
            envvar="CLOUDIMAGE_JOB_POD",
            help="JSON: nodeSelector, tolerations, affinity, imagePullSecrets and "
            "priorityClassName of the Jobs' pods.",
        ),
    ] = "",
    lease: Annotated[
        str,
        typer.Option(
            envvar="CLOUDIMAGE_LEASE",
            help="NAMESPACE/NAME of the Lease that the one of several operators holds that acts; "
            "empty: there is one operator.",
        ),
    ] = "",
    lease_seconds: Annotated[
        int,
        typer.Option(
            envvar="CLOUDIMAGE_LEASE_SECONDS",
            min=3,
            help="Seconds after which another operator takes over from one that is lost.",
        ),
    ] = 15,
) -> None:
    """Run the operator until it is told to stop."""
    try:
        template = JobTemplate(
            image=job_image,
            pull_policy=job_pull_policy,
            scratch_size=job_scratch_size,
            storage_class=job_storage_class,
            deadline_seconds=job_deadline_seconds,
            resources=_object(job_resources),
            pod=_object(job_pod),
            environment=_object(job_env),
        )
        terms = Terms.of(lease, lease_seconds) if lease else None
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    if runner == "job" and not job_image:
        raise typer.BadParameter("the runner job needs --job-image")
    # Imported here so that the other commands start without the Kubernetes client.
    from cloudimage import metrics
    from cloudimage.handlers.leadership import lead
    from cloudimage.handlers.operator import Operator, load_kubernetes_config

    logs.configure(log_level.upper())
    scratch.mkdir(parents=True, exist_ok=True)
    load_kubernetes_config()
    if metrics_address:
        metrics.serve(metrics_address)
    build = {"version": __version__, "commit": revision()}
    logging.getLogger(__name__).info("starting", extra=build)
    settings = Settings(
        scratch=scratch,
        namespaces=_words(namespaces),
        limits=types.Limits(
            max_scratch=max_scratch_gib * 2**30,
            max_download=max_scratch_gib * 2**30,
            max_expanded=max_scratch_gib * 2**30,
            max_virtual_size=max_virtual_size_gib * 2**30,
        ),
        policy=types.UrlPolicy(
            schemes=_words(schemes),
            allow_networks=_words(allow_networks),
            deny_networks=_words(deny_networks),
        ),
        max_concurrent_transfers=max_concurrent_transfers,
        resync_seconds=resync_seconds,
        probe_address=probe_address or None,
        metrics_address=metrics_address or None,
        job=template if runner == "job" else None,
        lease=terms,
    )
    if settings.lease is None:
        Operator(settings).run()
    else:
        lead(settings.lease, settings.probe_address, lambda: Operator(settings))


@app.command(rich_help_panel=user.PANEL)
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
    from cloudimage import transfer_command

    try:
        wanted = transfer_command.Wanted(
            source=types.HttpSource.model_validate(
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
            method=types.Import.model_validate({"method": method, "stores": store or ()}),
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
    from cloudimage import transfer_job

    raise typer.Exit(transfer_job.run(mounts, scratch, last_words))


@app.command(rich_help_panel=_OPERATOR)
def crds(
    *,
    root: Annotated[Path, typer.Option(help="The repository.")] = Path(),
    check: Annotated[bool, typer.Option("--check", help="Only tell which would change.")] = False,
) -> None:
    """Write what is generated from the models: CRDs, the chart's copy, the reference."""
    from cloudimage import generated

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
    from cloudimage import metadefs as definitions

    typer.echo(definitions.render(folder), nl=False)
