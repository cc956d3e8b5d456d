"""The commands for users of CloudImages and ImageShares, each a few lines over its module."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.imageshare import ImageShare
from cloudimage.api.kinds import IMAGE_SHARE, KINDS, Kind
from cloudimage.api.meta import FORCE_DELETE_ANNOTATION, RETRY_ANNOTATION, Resource
from cloudimage.cli import completion
from cloudimage.cli.arguments import Target, targets
from cloudimage.cli.errors import CommandError
from cloudimage.cli.output import say

if TYPE_CHECKING:
    from cloudimage.cli.kube_client import Cluster

PANEL = "Your images and shares"

Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[KIND] [NAME]...",
        help="As in kubectl: cloudimage (cimg, image), imageshare (cimgshare, share), or "
        "KIND/NAME. The default kind is cloudimage; without a name, all objects.",
        show_default=False,
        autocompletion=completion.words,
    ),
]
Names = Annotated[
    list[str],
    typer.Argument(
        metavar="[KIND] NAME...",
        help="As in kubectl, also KIND/NAME. The default kind is cloudimage.",
        autocompletion=completion.words,
    ),
]
Namespace = Annotated[
    str | None,
    typer.Option("--namespace", "-n", help="Namespace.", show_default="that of the context"),
]
Everywhere = Annotated[
    bool, typer.Option("--all-namespaces", "-A", help="Objects in all namespaces.")
]
Context = Annotated[
    str | None,
    typer.Option(help="Context in the kubeconfig.", show_default="the current one"),
]
Kubeconfig = Annotated[
    str | None,
    typer.Option(
        envvar="KUBECONFIG", help="Path of the kubeconfig.", show_default="~/.kube/config"
    ),
]
Output = Annotated[
    Literal["json", "yaml", "wide", "name"] | None,
    typer.Option("--output", "-o", help="Output format.", show_default="a table"),
]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line; typer lists those of a sub-application last."""
    app.command(rich_help_panel=PANEL)(get)
    app.command(rich_help_panel=PANEL)(watch)
    app.command(rich_help_panel=PANEL)(describe)
    app.command(rich_help_panel=PANEL)(retry)
    app.command("force-delete", rich_help_panel=PANEL)(force_delete)
    app.command(rich_help_panel=PANEL)(migrate)


def get(  # noqa: PLR0913  # one parameter an option: that is typer's way
    words: Words = None,
    *,
    output: Output = None,
    namespace: Namespace = None,
    all_namespaces: Everywhere = False,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Show CloudImages or ImageShares, as kubectl get does.

    For example: cloudimage get, cloudimage get debian-12 -o yaml, cloudimage get shares -A.
    """
    from cloudimage.cli import output as printed

    with _cluster(kubeconfig, context, namespace, everywhere=all_namespaces) as cluster:
        asked = _asked(words, cluster)
        if output is None or output == "wide":
            _print_tables(cluster, asked, wide=output == "wide")
            return
        things = cluster.objects(asked)
        if output == "name":
            say(printed.names_of(things), nl=False)
        else:
            single = len(asked) == 1 and asked[0].name is not None
            say(printed.document(things, output, single=single), nl=False)


def watch(  # noqa: PLR0913  # one parameter an option: that is typer's way
    words: Words = None,
    *,
    timeout: Annotated[
        str, typer.Option(help="Give up after this time, for example 90s or 5m; 0 for never.")
    ] = "0",
    namespace: Namespace = None,
    all_namespaces: Everywhere = False,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Show progress until all are Ready: live bars on a terminal, otherwise a line per change.

    The exit status is 0 when all are Ready; 1 when the others are stalled or deleted, or on
    timeout.
    """
    from rich.console import Console

    from cloudimage.cli import watch as follow

    try:
        seconds = follow.seconds(timeout)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    with _cluster(kubeconfig, context, namespace, everywhere=all_namespaces) as cluster:
        asked = _asked(words, cluster)
        if len({each.kind.plural for each in asked}) > 1:
            raise typer.BadParameter("watch takes one kind at a time")
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
                "/".join if all_namespaces else lambda key: key[1],
            )
        for sentence in follow.termination_message(rows, timeout if status is None else None):
            say(sentence, err=True)
        raise typer.Exit(1 if status is None else status)


def describe(
    words: Words = None,
    *,
    namespace: Namespace = None,
    all_namespaces: Everywhere = False,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Describe an object: why it is not Ready, what blocks it, and what to do."""
    from cloudimage.cli import describe as text

    with _cluster(kubeconfig, context, namespace, everywhere=all_namespaces) as cluster:
        asked = _asked(words, cluster)
        for number, thing in enumerate(cluster.objects(asked)):
            resource = _resource(thing)
            shares = _shares(resource, cluster)
            events = cluster.events(thing)
            say("\n" * bool(number), nl=False)
            say(text.describe(resource, shares, events, datetime.now(UTC)))


def retry(
    words: Names,
    *,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Retry a failed object now, and compare it with the cloud again."""
    from cloudimage.cli.force_delete import full_name

    with _cluster(kubeconfig, context, namespace) as cluster:
        for target in _named(words, cluster):
            thing = cluster.annotate(target, {RETRY_ANNOTATION: datetime.now(UTC).isoformat()})
            resource = target.kind.model.model_validate(thing)
            say(f"{full_name(resource)} will be retried")


def force_delete(
    words: Names,
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Delete an object at once, leaving what it made in the cloud unmanaged.

    For an object whose cloud is gone, or whose servers you do not want to wait for. Otherwise use
    kubectl delete, which cleans up.
    """
    from cloudimage.cli.force_delete import full_name, stays

    with _cluster(kubeconfig, context, namespace) as cluster:
        asked = _named(words, cluster)
        if len(asked) > 1:
            raise typer.BadParameter("force-delete takes one object at a time")
        resource = asked[0].kind.model.model_validate(cluster.read(asked[0]))
        left = stays(resource)
        say(
            f"{full_name(resource)} will be deleted. These stay in the "
            "cloud:" + " nothing." * (not left)
        )
        for each in left:
            say(f"  {each}")
        if not yes:
            typer.confirm("Delete it and leave these?" if left else "Delete it?", abort=True)
        cluster.annotate(asked[0], {FORCE_DELETE_ANNOTATION: "true"})
        cluster.delete(asked[0], resource.metadata.uid)
        say(f"{full_name(resource)} is deleted")


def migrate(  # noqa: PLR0913  # one parameter an option: that is typer's way
    *,
    from_cloud: Annotated[
        str,
        typer.Option(
            help="The old cloud in clouds.yaml, which is looked up as the openstack client does."
        ),
    ],
    image: Annotated[str, typer.Option(help="Id or name of the image in the old cloud.")],
    secret: Annotated[str, typer.Option(help="Secret with the new cloud's clouds.yaml.")],
    cloud: Annotated[str, typer.Option(help="The new cloud in that clouds.yaml.")],
    name: Annotated[str, typer.Option(help="Name of the new CloudImage.")],
    namespace: Annotated[
        str | None,
        typer.Option(
            "--namespace", "-n", help="Namespace of the new CloudImage.", show_default="as applied"
        ),
    ] = None,
    auth_secret: Annotated[
        str,
        typer.Option(help="Secret with the old cloud's token.", show_default="NAME-source"),
    ] = "",
    with_visibility: Annotated[
        bool, typer.Option("--with-visibility", help="Keep the image's visibility.")
    ] = False,
    with_owner: Annotated[
        bool, typer.Option("--with-owner", help="Keep the id of the project that owns the image.")
    ] = False,
) -> None:
    """Print a CloudImage that copies an image from another cloud, and the Secret it needs.

    cloudimage migrate --from-cloud old --image debian-12 --secret openstack --cloud new --name
    debian-12 | kubectl apply -f -

    The Secret holds a token of the old cloud, so it is omitted when printing to a terminal.
    """
    from cloudimage.cli import migrate as manifests

    wanted = manifests.Wanted(
        name=name,
        namespace=namespace,
        secret=secret,
        cloud=cloud,
        auth_secret=auth_secret or f"{name}-source",
        visibility=with_visibility,
        owner=with_owner,
    )
    with_secret = not sys.stdout.isatty()
    with _told():
        from cloudimage.cli.migrate_source import look_up

        found, access = look_up(from_cloud, image)
        manifests.check(found)
        has_ca = access.ca_certificate is not None
        documents = [manifests.cloud_image(found, wanted, access.url, has_ca=has_ca)]
        if with_secret:
            documents.insert(0, manifests.secret(wanted, access.token, access.ca_certificate))
        head = manifests.comments(
            found, wanted, access.url, access.expires, with_secret=with_secret
        )
        say(manifests.render(head, documents), nl=False)


@contextmanager
def _told() -> Iterator[None]:
    """End with one sentence and exit status 1 when something fails."""
    try:
        yield
    except CommandError as error:
        say(str(error), err=True)
        raise typer.Exit(1) from error
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


@contextmanager
def _cluster(
    kubeconfig: str | None, context: str | None, namespace: str | None, *, everywhere: bool = False
) -> "Iterator[Cluster]":
    from cloudimage.cli import kube_client
    from cloudimage.cli.errors import sentences

    found: kube_client.Cluster | None = None
    with _told(), sentences(lambda: found.server if found else ""):
        found = kube_client.connect(kubeconfig, context, namespace, everywhere=everywhere)
        yield found


def _asked(words: Sequence[str] | None, cluster: "Cluster") -> tuple[Target, ...]:
    try:
        asked = targets(words or ())
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    if cluster.namespace is None and any(each.name for each in asked):
        raise typer.BadParameter("a name cannot be combined with --all-namespaces")
    return asked


def _named(words: Sequence[str], cluster: "Cluster") -> tuple[Target, ...]:
    asked = _asked(words, cluster)
    if any(each.name is None for each in asked):
        raise typer.BadParameter("give the name of an object")
    return asked


def _print_tables(cluster: "Cluster", asked: Sequence[Target], *, wide: bool) -> None:
    from cloudimage.cli import output

    printed = 0
    for kind in dict.fromkeys(each.kind for each in asked):
        tables = [cluster.table(each) for each in asked if each.kind is kind]
        rows = output.rows_of(tables, wide=wide, namespaces=cluster.namespace is None)
        if not rows:
            say(_none(kind, cluster), err=True)
            continue
        say("\n" * bool(printed) + output.aligned(rows))
        printed += 1


def _none(kind: Kind, cluster: "Cluster") -> str:
    where = f"in namespace {cluster.namespace}" if cluster.namespace else "in any namespace"
    return f"There is no {kind.name} {where}."


def _shares(resource: Resource, cluster: "Cluster") -> list[ImageShare] | None:
    """Return the ImageShares of a CloudImage, or None if the user may not read them."""
    from cloudimage.shares.logic.members import refers_to

    if not isinstance(resource, CloudImage):
        return []
    found = cluster.wherever(IMAGE_SHARE, resource.metadata.namespace)
    if found is None:
        return None
    shares = map(ImageShare.model_validate, found)
    return [each for each in shares if refers_to(each, resource)]


def _resource(thing: dict[str, Any]) -> Resource:
    return next(kind for kind in KINDS if kind.name == thing["kind"]).model.model_validate(thing)
