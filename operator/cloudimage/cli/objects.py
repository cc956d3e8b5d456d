"""The commands for users of CloudImages and ImageShares, each a few lines over its module."""

import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from cloudimage.api.kinds import IMAGE_SHARE, KINDS, Kind
from cloudimage.api.names import FORCE_DELETE_ANNOTATION, RETRY_ANNOTATION
from cloudimage.cli import kubectl, options
from cloudimage.cli.arguments import Target, Where, targets
from cloudimage.cli.connecting import cluster_of
from cloudimage.cli.errors import CommandError
from cloudimage.cli.output import aligned, document, names_of, rows_of, say

if TYPE_CHECKING:
    from cloudimage.api.imageshare import ImageShare
    from cloudimage.api.meta import Resource
    from cloudimage.cli.kube_client import Cluster


@options.command()
@options.objects(required=False)
@click.option(
    "--output",
    "-o",
    type=click.Choice(["json", "yaml", "wide", "name"]),
    show_default="a table",
    help="Output format.",
)
@options.clusters
def get(words: tuple[str, ...], output: str | None, where: Where) -> None:
    """Show CloudImages or ImageShares, as kubectl get does.

    For example: cloudimage get, cloudimage get debian-12 -o yaml, cloudimage get shares -A.
    """
    if told := _by_kubectl(words, output, where):
        say(told, nl=False)
        return
    with cluster_of(where) as cluster:
        asked = _asked(words, cluster)
        if output is None or output == "wide":
            _print_tables(cluster, asked, wide=output == "wide")
            return
        things = cluster.objects(asked)
        if output == "name":
            say(names_of(things), nl=False)
        else:
            single = len(asked) == 1 and asked[0].name is not None
            say(document(things, output, single=single), nl=False)


@options.command()
@options.objects(required=False)
@click.option(
    "--timeout",
    default="0",
    show_default=True,
    help="Give up after this time, for example 90s or 5m; 0 for never.",
)
@options.clusters
def watch(words: tuple[str, ...], timeout: str, where: Where) -> None:
    """Show progress until all are Ready: live bars on a terminal, otherwise a line per change.

    The exit status is 0 when all are Ready; 1 when the others are stalled or deleted, or on
    timeout.
    """
    from rich.console import Console

    from cloudimage.cli import watch as follow

    try:
        seconds = follow.seconds(timeout)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    with cluster_of(where) as cluster:
        asked = _asked(words, cluster)
        if len({each.kind.plural for each in asked}) > 1:
            raise click.BadParameter("watch takes one kind at a time")
        if not cluster.objects(asked):
            raise CommandError(_none(asked[0].kind, cluster))
        names = [each.name for each in asked if each.name]
        changes = cluster.changes(
            asked[0].kind,
            names[0] if len(names) == 1 else None,
            None if seconds is None else time.monotonic() + seconds,
        )
        model = asked[0].kind.model
        snapshots = (
            {key: model.model_validate(each) for key, each in objects.items()}
            for objects in changes
        )
        with follow.display_on(Console(), say) as display:
            status, rows = follow.follow(
                snapshots,
                [(cluster.namespace or "", name) for name in names],
                display,
                "/".join if where.everywhere else lambda key: key[1],
            )
        for sentence in follow.termination_message(rows, timeout if status is None else None):
            say(sentence, err=True)
        raise click.exceptions.Exit(1 if status is None else status)


@options.command()
@options.objects(required=False)
@click.option(
    "--no-refresh",
    is_flag=True,
    help="Do not have the operator ask the cloud again who uses the image.",
)
@options.clusters
def describe(words: tuple[str, ...], no_refresh: bool, where: Where) -> None:  # noqa: FBT001  # an option
    """Describe an object: why it is not Ready, what blocks it, and what to do.

    Of a CloudImage that is named and Ready, the operator first asks the cloud again who uses the
    image, as retry has it do.
    """
    from cloudimage.cli import describe as text
    from cloudimage.cli.refresh import refreshed

    with cluster_of(where) as cluster:
        asked = _asked(words, cluster)
        refresh = asked[0].name is not None and not no_refresh
        for number, found in enumerate(cluster.objects(asked)):
            thing = refreshed(cluster, found) if refresh else found
            resource = _resource(thing)
            shares = _shares(resource, cluster)
            events = cluster.events(thing)
            say("\n" * bool(number), nl=False)
            say(text.describe(resource, shares, events, datetime.now(UTC)))


@options.command()
@options.objects(required=True)
@options.cluster
def retry(words: tuple[str, ...], where: Where) -> None:
    """Retry a failed object now, and compare it with the cloud again."""
    from cloudimage.cli.force_delete import full_name

    with cluster_of(where) as cluster:
        for target in _named(words, cluster):
            thing = cluster.annotate(target, {RETRY_ANNOTATION: datetime.now(UTC).isoformat()})
            resource = target.kind.model.model_validate(thing)
            say(f"{full_name(resource)} will be retried")


@options.command("force-delete")
@options.objects(required=True)
@click.option("--yes", "-y", is_flag=True, help="Do not ask for confirmation.")
@options.cluster
def force_delete(words: tuple[str, ...], yes: bool, where: Where) -> None:  # noqa: FBT001  # an option
    """Delete an object at once, leaving what it made in the cloud unmanaged.

    For an object whose cloud is gone, or whose servers you do not want to wait for. Otherwise use
    kubectl delete, which cleans up.
    """
    from cloudimage.cli.force_delete import full_name, stays

    with cluster_of(where) as cluster:
        asked = _named(words, cluster)
        if len(asked) > 1:
            raise click.BadParameter("force-delete takes one object at a time")
        resource = asked[0].kind.model.model_validate(cluster.read(asked[0]))
        left = stays(resource)
        say(
            f"{full_name(resource)} will be deleted. These stay in the "
            "cloud:" + " nothing." * (not left)
        )
        for each in left:
            say(f"  {each}")
        if not yes:
            click.confirm("Delete it and leave these?" if left else "Delete it?", abort=True)
        cluster.annotate(asked[0], {FORCE_DELETE_ANNOTATION: "true"})
        cluster.delete(asked[0], resource.metadata.uid)
        say(f"{full_name(resource)} is deleted")


def _by_kubectl(words: Sequence[str], output: str | None, where: Where) -> str:
    """Return what kubectl shows, of which the start is much faster; empty if it shows nothing."""
    try:
        asked = targets(words)
    except ValueError:
        return ""
    if len(asked) > 1 or (asked[0].name and where.everywhere):
        return ""
    texts = {None: (), "wide": ("--output=wide",), "name": ("--output=name",)}
    if output in texts:
        return kubectl.get(asked[0], texts[output], where)
    told = kubectl.get(asked[0], ("--output=json",), where)
    if not told:
        return ""
    found = json.loads(told)
    single = asked[0].name is not None
    return document([found] if single else found["items"], str(output), single=single)


def _asked(words: Sequence[str], cluster: "Cluster") -> tuple[Target, ...]:
    try:
        asked = targets(words)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    if cluster.namespace is None and any(each.name for each in asked):
        raise click.BadParameter("a name cannot be combined with --all-namespaces")
    return asked


def _named(words: Sequence[str], cluster: "Cluster") -> tuple[Target, ...]:
    asked = _asked(words, cluster)
    if any(each.name is None for each in asked):
        raise click.BadParameter("give the name of an object")
    return asked


def _print_tables(cluster: "Cluster", asked: Sequence[Target], *, wide: bool) -> None:
    printed = 0
    for kind in dict.fromkeys(each.kind for each in asked):
        tables = [cluster.table(each) for each in asked if each.kind is kind]
        rows = rows_of(tables, wide=wide, namespaces=cluster.namespace is None)
        if not rows:
            say(_none(kind, cluster), err=True)
            continue
        say("\n" * bool(printed) + aligned(rows))
        printed += 1


def _none(kind: Kind, cluster: "Cluster") -> str:
    where = f"in namespace {cluster.namespace}" if cluster.namespace else "in any namespace"
    return f"There is no {kind.name} {where}."


def _shares(resource: "Resource", cluster: "Cluster") -> "list[ImageShare] | None":
    """Return the ImageShares of a CloudImage, or None if the user may not read them."""
    from cloudimage.api.cloudimage import CloudImage
    from cloudimage.api.imageshare import ImageShare
    from cloudimage.shares.logic.members import refers_to

    if not isinstance(resource, CloudImage):
        return []
    found = cluster.wherever(IMAGE_SHARE, resource.metadata.namespace)
    if found is None:
        return None
    shares = map(ImageShare.model_validate, found)
    return [each for each in shares if refers_to(each, resource)]


def _resource(thing: dict[str, Any]) -> "Resource":
    return next(kind for kind in KINDS if kind.name == thing["kind"]).model.model_validate(thing)


COMMANDS = (get, watch, describe, retry, force_delete)
