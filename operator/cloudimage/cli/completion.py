"""What TAB offers: kinds, and the names of the cluster's objects."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem, ShellComplete, get_completion_class

from cloudimage.api.kinds import CLOUD_IMAGE, KINDS, Kind
from cloudimage.cli import kubectl
from cloudimage.cli.arguments import Target, Where, kind_named
from cloudimage.cli.errors import CommandError
from cloudimage.plaintext import plain_lines

if TYPE_CHECKING:
    from cloudimage.cli.kube_client import Cluster

_SECONDS = 5
VARIABLE = "_CLOUDIMAGE_COMPLETE"
"""By this variable a shell asks the program for its offers; click derives it from our name."""


def words(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return what the word may become; nothing where the cluster does not answer."""
    typed = tuple(ctx.params.get("words") or ())
    before, slash, _name = incomplete.rpartition("/")
    kind = kind_named(before if slash else "".join(typed[:1]))
    names = _names(ctx.params, kind or CLOUD_IMAGE)
    return [CompletionItem(each) for each in offers(typed, incomplete, names)]


def images(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the CloudImages whose names begin so; nothing where the cluster does not answer."""
    names = _names(ctx.params, CLOUD_IMAGE)
    return [CompletionItem(each) for each in names if each.startswith(incomplete)]


def offers(typed: Sequence[str], incomplete: str, names: Sequence[str]) -> list[str]:
    """Return those of the names, and of the kinds for the first word, that begin so."""
    before, slash, _ = incomplete.rpartition("/")
    kinds = [] if typed or slash else [kind.singular for kind in KINDS]
    left = [f"{before}{slash}{name}" for name in names if name not in typed]
    return [each for each in (*kinds, *left) if each.startswith(incomplete)]


def _names(options: Mapping[str, Any], kind: Kind) -> list[str]:
    where = Where(options.get("kubeconfig"), options.get("context"), options.get("namespace"))
    told = kubectl.get(Target(kind, None), ("--output=name",), where, _SECONDS)
    if told:
        return [line.rpartition("/")[2] for line in plain_lines(told).splitlines()]
    from cloudimage.cli import kube_client

    found: Cluster | None = None
    sentences = kube_client.sentences(lambda: found.server if found else "")
    with contextlib.suppress(CommandError), sentences:  # a shell has no place for a sentence
        found = kube_client.connect(where)
        return [each["metadata"]["name"] for each in found.read_all(kind)["items"]]
    return []


def of_words(app: click.Command, typed: Sequence[str]) -> list[str]:
    """Return what the last of the words behind the program's name may become."""
    *before, last = typed or [""]
    found = ShellComplete(app, {}, "cloudimage", VARIABLE).get_completions(before, last)
    return [each.value for each in found if each.type == "plain"]


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script by which a shell completes words with TAB.

    For example, in ~/.bashrc: source <(cloudimage completion bash)
    """
    scripts = get_completion_class(shell)
    assert scripts is not None  # noqa: S101  # the choice above has click's own names
    click.echo(scripts(ctx.find_root().command, {}, "cloudimage", VARIABLE).source())
