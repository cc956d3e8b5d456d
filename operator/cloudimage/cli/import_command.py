"""``cloudimage import``: its options, and what it writes where."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cloudimage.cli.connecting import told
from cloudimage.cli.errors import CommandError
from cloudimage.cli.output import say
from cloudimage.plaintext import plain

if TYPE_CHECKING:
    from cloudimage.cli.import_made import LeftOut, Made, Result, Wanted


@click.command("import")
@click.argument(
    "places", metavar="FILE...", nargs=-1, required=True, type=click.Path(allow_dash=True)
)
@click.option("--secret", required=True, help="Secret with the cloud's clouds.yaml.")
@click.option("--cloud", required=True, help="The cloud in that clouds.yaml.")
@click.option("--namespace", "-n", show_default="as applied", help="Namespace of the objects.")
@click.option(
    "--to",
    "-o",
    type=click.Path(file_okay=False, path_type=Path),
    show_default="standard output",
    help="Folder for a file of each object.",
)
@click.option(
    "--every",
    default="24h",
    show_default=True,
    help="How often the source of an image with a latest_url is asked.",
)
@click.option("--pin", is_flag=True, help="Take the newest version of the list; follow nothing.")
@click.option("--disabled", is_flag=True, help="Also take images with enable: false.")
@click.option("--region", help="Take Terraform's images of this region alone.")
def import_(places: tuple[str, ...], **given: Any) -> None:  # noqa: ANN401  # options
    """Print CloudImages of what another tool keeps.

    FILE is a list of images of openstack-image-manager, or a folder of them, or what terraform show
    -json prints, of a state or of a plan; - is standard input. No cluster and no cloud is needed.

    For example: terraform show -json | cloudimage import - --secret openstack --cloud images

    Images of a state are adopted: no byte moves. Every entry of which nothing can be made is named
    on standard error; the exit status is then 1.
    """
    from cloudimage.cli.import_made import LeftOut, Made, Wanted

    wanted = Wanted(
        secret=given["secret"],
        cloud=given["cloud"],
        namespace=given["namespace"],
        every=None if given["pin"] else given["every"],
        disabled=given["disabled"],
        region=given["region"],
    )
    with told():
        results = _results(places, wanted)
        made = [each for each in results if isinstance(each, Made)]
        _write(made, wanted, given["to"])
    left = [each for each in results if isinstance(each, LeftOut)]
    say("\n".join(_summary(made, left)), err=True)
    if any(not each.meant for each in left):
        raise click.exceptions.Exit(1)


def _results(places: tuple[str, ...], wanted: "Wanted") -> "list[Result]":
    from cloudimage.cli import import_made, import_oim, import_terraform
    from cloudimage.cli.import_input import documents

    found: list[Result] = []
    for place, document in documents(places):
        if import_oim.is_catalogue(document):
            found += import_oim.results(place, document, wanted)
        elif import_terraform.is_shown(document):
            found += import_terraform.results(document, wanted)
        elif "terraform_version" in document and "resources" in document:
            raise CommandError(
                f"{place} is Terraform's own file: import what terraform show -json prints."
            )
        else:
            raise CommandError(
                f"{place} is neither a list of images of openstack-image-manager, with the key "
                "images, nor what terraform show -json prints, with the key values or "
                "planned_values."
            )
    named = list(import_made.named(import_made.checked(found)))
    return list(import_made.linked(named))


def _write(made: "Sequence[Made]", wanted: "Wanted", folder: Path | None) -> None:
    from cloudimage.cli.import_made import manifest
    from cloudimage.cli.migrate import render
    from cloudimage.cli.migrate_command import put

    # No object has an underscore in its name, so that each file is another one.
    texts = [
        (
            each.name if each.kind == "CloudImage" else f"{each.name}_share",
            render((f"From {each.label}.", *each.notes), [manifest(each, wanted.namespace)]),
        )
        for each in made
    ]
    if folder:
        put(folder, texts)
    else:
        say("---\n".join(text for _, text in texts), nl=False)


def _summary(made: "Iterable[Made]", left: "Sequence[LeftOut]") -> Iterator[str]:
    kinds = [each.kind for each in made]
    missing = sum(not each.meant for each in left)
    shares = f", ImageShares: {kinds.count('ImageShare')}" if "ImageShare" in kinds else ""
    yield (
        f"CloudImages written: {kinds.count('CloudImage')}{shares}; left out: {len(left)}, of "
        f"which cannot be converted: {missing}. The comments above each say what else to know."
    )
    for each in left:
        yield f"Left out {plain(each.label)}: {plain(each.why)}."
