"""``cloudimage catalogue`` and ``cloudimage new``: public images of distributions."""

from typing import TYPE_CHECKING

import click

from cloudimage.cli.output import aligned, say, yaml_of

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from cloudimage.catalogue import Entry


class _Name(click.ParamType):  # type: ignore[type-arg]  # generic only for type checkers
    """The name of an image of the catalogue, completed with TAB."""

    name = "name"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> "Entry":
        """Return the image that is called so."""
        from cloudimage.catalogue import entries, find

        entry = find(str(value))
        if entry is None:
            from difflib import get_close_matches

            near = get_close_matches(str(value), [each.name for each in entries()], n=3)
            meant = f" Did you mean {', '.join(near)}?" if near else ""
            self.fail(
                f"the catalogue has no image {value!r}.{meant} `cloudimage catalogue list` lists "
                "them.",
                param,
                ctx,
            )
        return entry

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002  # click's
        param: click.Parameter,  # noqa: ARG002  # click's
        incomplete: str,
    ) -> "list[CompletionItem]":
        """Return the names that begin so."""
        from click.shell_completion import CompletionItem

        from cloudimage.catalogue import entries

        return [CompletionItem(each.name) for each in entries() if each.name.startswith(incomplete)]


@click.group()
def catalogue() -> None:
    """Show the public images of distributions that CloudImages are ready for."""


@catalogue.command("list")
def list_() -> None:
    """List them: names for `cloudimage new`, how a new build is found, whether a key signs it."""
    from cloudimage.catalogue import entries

    rows = [("NAME", "IMAGE", "FOUND BY", "SIGNED")]
    rows += [
        (each.name, each.image_name, each.found, "yes" if each.keyring else "no")
        for each in entries()
    ]
    say(aligned(rows))


@click.command()
@click.argument("entry", metavar="NAME", type=_Name())
@click.option("--secret", required=True, help="Secret with your cloud's clouds.yaml.")
@click.option("--cloud", required=True, help="The cloud in that clouds.yaml.")
@click.option("--namespace", "-n", show_default="as applied", help="Namespace of the CloudImage.")
def new(entry: "Entry", secret: str, cloud: str, namespace: str | None) -> None:
    """Print a CloudImage of the catalogue, with the keys that its publisher signs by.

    cloudimage new debian-12 --secret openstack --cloud images | kubectl apply -f -

    It keeps up with its publisher. No cluster and no cloud is needed to print it.
    """
    head = "".join(f"# {line}\n" for line in entry.comments)
    say(head + yaml_of(entry.objects(secret, cloud, namespace), width=1000), nl=False)
