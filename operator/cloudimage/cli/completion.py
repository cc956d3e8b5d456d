"""What TAB offers: kinds, and the names of the cluster's objects."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer

from cloudimage.api.kinds import CLOUD_IMAGE, KINDS, Kind
from cloudimage.cli.arguments import kind_named
from cloudimage.cli.errors import CommandError, sentences

if TYPE_CHECKING:
    from cloudimage.cli.kube_client import Cluster


def words(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return what the word may become; nothing where the cluster does not answer."""
    typed = tuple(ctx.params.get("words") or ())
    before, slash, _ = incomplete.rpartition("/")
    kind = kind_named(before if slash else "".join(typed[:1]))
    names = _names(ctx.params, kind or CLOUD_IMAGE)
    return offers(typed, incomplete, names)


def offers(typed: Sequence[str], incomplete: str, names: Sequence[str]) -> list[str]:
    """Return those of the names, and of the kinds for the first word, that begin so."""
    before, slash, _ = incomplete.rpartition("/")
    kinds = [] if typed or slash else [kind.singular for kind in KINDS]
    left = [f"{before}{slash}{name}" for name in names if name not in typed]
    return [each for each in (*kinds, *left) if each.startswith(incomplete)]


def _names(options: Mapping[str, Any], kind: Kind) -> list[str]:
    from cloudimage.cli import kube_client  # slow: not for other words

    found: Cluster | None = None
    # A shell has no place for a sentence.
    with contextlib.suppress(CommandError), sentences(lambda: found.server if found else ""):
        found = kube_client.connect(
            options.get("kubeconfig"),
            options.get("context"),
            options.get("namespace"),
            everywhere=False,
        )
        return [each["metadata"]["name"] for each in found.read_all(kind)["items"]]
    return []
