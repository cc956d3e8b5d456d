"""``cloudimage run``: the operator, set up from its options and environment."""

import json
import logging
import os
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from cloudimage import __version__, logs, revision
from cloudimage.access.policy import LOOPBACK, CloudPolicy
from cloudimage.addresses import ANYWHERE
from cloudimage.leader_election.rules import Terms
from cloudimage.runners.logic.job_manifest import JobTemplate
from cloudimage.settings import Settings
from cloudimage.transfer import contract


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
            envvar="CLOUDIMAGE_MAX_CONCURRENT_TRANSFERS",
            min=1,
            help="Transfers at once; a quarter of them for one namespace or Secret.",
        ),
    ] = 16,
    reconcile_seconds: Annotated[
        float,
        typer.Option(
            envvar="CLOUDIMAGE_RECONCILE_SECONDS",
            min=5,
            help="Seconds after which a look at one object is given up.",
        ),
    ] = 300.0,
    resync_seconds: Annotated[
        float,
        typer.Option(
            envvar="CLOUDIMAGE_RESYNC_SECONDS", min=5, help="Seconds between looks at Glance."
        ),
    ] = 1800.0,
    delete_orphans: Annotated[
        bool,
        typer.Option(
            envvar="CLOUDIMAGE_DELETE_ORPHANS",
            help="Delete unfinished images that no CloudImage has; else they are only reported.",
        ),
    ] = False,
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
    ] = 1024,
    min_source_rate_kib: Annotated[
        int,
        typer.Option(
            envvar="CLOUDIMAGE_MIN_SOURCE_RATE_KIB",
            min=1,
            help="KiB per second that a source must give on average, after ten minutes.",
        ),
    ] = 256,
    transfer_memory_mib: Annotated[
        int,
        typer.Option(
            envvar="CLOUDIMAGE_TRANSFER_MEMORY_MIB",
            min=256,
            help="MiB of memory of each transfer, besides the programs that it starts.",
        ),
    ] = 512,
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
    auth_needs_hosts: Annotated[
        bool,
        typer.Option(
            envvar="CLOUDIMAGE_AUTH_NEEDS_HOSTS",
            help="Send a source credentials only if their Secret has the annotation "
            "cloudimage.dev/hosts.",
        ),
    ] = False,
    cloud_hosts: Annotated[
        str,
        typer.Option(
            envvar="CLOUDIMAGE_CLOUD_HOSTS",
            help="Host names that clouds may have, with commas between, *.example.org for all "
            "below; empty: any.",
        ),
    ] = "",
    cloud_allow_networks: Annotated[
        str,
        typer.Option(
            envvar="CLOUDIMAGE_CLOUD_ALLOW_NETWORKS",
            help="CIDRs, with commas between, that clouds may be in. Link-local and metadata "
            "addresses must be named by networks of their own.",
        ),
    ] = ",".join((*ANYWHERE, *LOOPBACK)),
    cloud_deny_networks: Annotated[
        str,
        typer.Option(
            envvar="CLOUDIMAGE_CLOUD_DENY_NETWORKS",
            help="CIDRs, with commas between, that clouds may never be in.",
        ),
    ] = "",
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
    from cloudimage.leader_election.elector import lead
    from cloudimage.metrics import operator as metrics
    from cloudimage.operator import Operator, load_kubernetes_config
    from cloudimage.runners.child import sweep

    logs.configure(log_level.upper())
    scratch.mkdir(parents=True, exist_ok=True)
    sweep(scratch)  # one that only stands by would keep it for ever
    load_kubernetes_config()
    if metrics_address:
        metrics.serve(metrics_address)
    build = {"version": __version__, "commit": revision()}
    logging.getLogger(__name__).info("starting", extra=build)
    settings = Settings(
        scratch=scratch,
        namespaces=_words(namespaces),
        limits=contract.Limits(
            max_scratch=max_scratch_gib * 2**30,
            max_download=max_scratch_gib * 2**30,
            max_expanded=max_scratch_gib * 2**30,
            max_virtual_size=max_virtual_size_gib * 2**30,
            min_average_rate=min_source_rate_kib * 2**10,
            memory=transfer_memory_mib * 2**20,
        ),
        policy=contract.UrlPolicy(
            schemes=_words(schemes),
            allow_networks=_words(allow_networks),
            deny_networks=_words(deny_networks),
        ),
        auth_needs_hosts=auth_needs_hosts,
        cloud_policy=CloudPolicy(
            hosts=_words(cloud_hosts),
            allow_networks=_words(cloud_allow_networks),
            deny_networks=(*_words(cloud_deny_networks), *_api_server()),
        ),
        max_concurrent_transfers=max_concurrent_transfers,
        reconcile_seconds=reconcile_seconds,
        resync_seconds=resync_seconds,
        delete_orphans=delete_orphans,
        probe_address=probe_address or None,
        metrics_address=metrics_address or None,
        job=template if runner == "job" else None,
        lease=terms,
    )
    if settings.lease is None:
        Operator(settings).run()
    else:
        lead(settings.lease, settings.probe_address, lambda: Operator(settings))


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in (each.strip() for each in text.split(",")) if word)


def _api_server() -> tuple[str, ...]:
    """Return the network of the API server as pods see it: no cloud is there."""
    try:
        return (str(ip_network(os.environ["KUBERNETES_SERVICE_HOST"])),)
    except (KeyError, ValueError):
        return ()


def _object(text: str) -> dict[str, Any]:
    """Return a JSON object.

    Raises:
        ValueError: It is none.
    """
    value = json.loads(text or "{}")
    if not isinstance(value, dict):
        raise ValueError(f"{text} is no JSON object")  # noqa: TRY004  # an option's value
    return value
