"""Options that several commands have, as kubectl names them."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from cloudimage.cli import completion
from cloudimage.cli.arguments import Where

Command = Callable[..., None]

_KINDS = (
    "KIND is cloudimage (cimg, image) or imageshare (cimgshare, share); without it, cloudimage. "
    "KIND/NAME works too."
)


def objects(*, required: bool) -> Callable[[Command], Command]:
    """Add the words that name objects; without ``required``, none of them mean all."""
    return click.argument(
        "words",
        nargs=-1,
        required=required,
        metavar="[KIND] NAME..." if required else "[KIND] [NAME]...",
        shell_complete=completion.words,
    )


def command(name: str | None = None) -> Callable[[Command], click.Command]:
    """Make a command of objects, whose help says what their words are."""
    return click.command(name, epilog=_KINDS)


def cluster(command: Callable[..., None], *, everywhere: bool = False) -> Command:
    """Add the options that say which cluster and namespace; the command gets a :class:`Where`."""

    @wraps(command)
    def run(
        *,
        kubeconfig: str | None,
        context: str | None,
        namespace: str | None,
        **others: Any,  # noqa: ANN401  # the command's
    ) -> None:
        in_all = others.pop("everywhere", False)
        command(where=Where(kubeconfig, context, namespace, in_all), **others)

    options = [
        click.option(
            "--kubeconfig",
            envvar="KUBECONFIG",
            show_envvar=True,
            show_default="~/.kube/config",
            help="Path of the kubeconfig.",
        ),
        click.option(
            "--context", show_default="the current one", help="Context in the kubeconfig."
        ),
        click.option("--namespace", "-n", show_default="that of the context", help="Namespace."),
    ]
    if everywhere:
        options.append(
            click.option(
                "--all-namespaces",
                "-A",
                "everywhere",
                is_flag=True,
                help="Objects in all namespaces.",
            )
        )
    made: Command = run
    for option in options:
        made = option(made)
    return made


def clusters(command: Callable[..., None]) -> Command:
    """Add the same, and the option for all namespaces."""
    return cluster(command, everywhere=True)


def file(name: str, **attributes: Any) -> Callable[[Command], Command]:  # noqa: ANN401  # click's
    """Add an option for a file that must be there."""
    from pathlib import Path  # its type alone

    return click.option(
        name, type=click.Path(exists=True, dir_okay=False, path_type=Path), **attributes
    )
