"""Options that several commands have, as kubectl names them."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
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
    return click.option(
        name, type=click.Path(exists=True, dir_okay=False, path_type=Path), **attributes
    )


def source(command: Command) -> Command:
    """Add what is known of a source beside its URL."""
    return _all(
        command,
        click.option("--mirror", multiple=True, help="Another URL of the same file; repeatable."),
        click.option(
            "--checksum",
            default="",
            help="Checksum of the source file as algorithm:hash, for example sha256:ab12...",
        ),
        click.option(
            "--checksums-url", default="", help="URL of a checksum file that lists the source file."
        ),
        click.option(
            "--signature-url",
            default="",
            help="URL of an OpenPGP signature of the checksum file if one is given, otherwise of "
            "the source file.",
        ),
        file(
            "--keyring",
            help="File with the trusted public keys, ASCII-armored. Without --signature-url the "
            "checksum file must be clearsigned.",
        ),
        file("--ca-certificate", help="PEM file of CA certificates for the source's TLS."),
        click.option("--source-format", help="Refuse the file unless it has this disk format."),
    )


def scratch(command: Command) -> Command:
    """Add where files go, and how much of them."""
    return _all(
        command,
        click.option(
            "--scratch",
            type=click.Path(path_type=Path),
            envvar="CLOUDIMAGE_SCRATCH_DIR",
            show_envvar=True,
            show_default="cloudimage in XDG_CACHE_HOME or ~/.cache",
            help="Folder for the transfer's files.",
        ),
        click.option(
            "--max-scratch-gib",
            type=click.IntRange(min=1),
            default=100,
            show_default=True,
            envvar="CLOUDIMAGE_MAX_SCRATCH_GIB",
            show_envvar=True,
            help="GiB that the files may take, including those kept from earlier transfers.",
        ),
    )


def image(command: Command) -> Command:
    """Add an image that no CloudImage has made, how to fetch it, and how to show what it is."""
    return _all(
        command,
        click.argument("place", metavar="URL|FILE"),
        source,
        click.option(
            "--output",
            "-o",
            type=click.Choice(["json"]),
            show_default="text",
            help="Output format.",
        ),
        scratch,
    )


def _all(command: Command, *options: Callable[[Command], Command]) -> Command:
    for option in reversed(options):
        command = option(command)
    return command
