"""``cloudimage migrate``: its options, and what it writes where."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from cloudimage.cli.connecting import told
from cloudimage.cli.errors import CommandError
from cloudimage.cli.output import aligned, say
from cloudimage.plaintext import plain
from cloudimage.vocabulary.image import Visibility

if TYPE_CHECKING:
    from cloudimage.cli.migrate import Wanted
    from cloudimage.cli.migrate_all import Planned
    from cloudimage.cloud.models import Member

_WITH_ALL = ("match", "visibility", "owner", "tag", "status", "snapshots", "dry_run", "to")
"""Options that make sense for many images only."""


@click.command()
@click.option(
    "--from-cloud",
    required=True,
    help="The old cloud in clouds.yaml, which is looked up as the openstack client does.",
)
@click.option("--image", help="Id or name of the image in the old cloud.")
@click.option("--all", "everything", is_flag=True, help="All images of the old cloud's project.")
@click.option("--secret", required=True, help="Secret with the new cloud's clouds.yaml.")
@click.option("--cloud", required=True, help="The new cloud in that clouds.yaml.")
@click.option(
    "--from-secret",
    show_default="--from-cloud",
    help="Secret with the old cloud's clouds.yaml, by which the operator reads the bytes.",
)
@click.option(
    "--from-secret-cloud", show_default="--from-cloud", help="The old cloud in that clouds.yaml."
)
@click.option("--name", show_default="the image's", help="Name of the new CloudImage.")
@click.option(
    "--namespace", "-n", show_default="as applied", help="Namespace of the new CloudImages."
)
@click.option("--with-visibility", is_flag=True, help="Keep the images' visibility.")
@click.option("--with-owner", is_flag=True, help="Keep the id of the project that owns an image.")
@click.option("--members", is_flag=True, help="Also write ImageShares for members.")
@click.option("--match", metavar="PATTERN", help="With --all: names such as 'debian-*'.")
@click.option(
    "--visibility",
    multiple=True,
    type=click.Choice(get_args(Visibility)),
    help="With --all: images of this visibility; repeatable.",
)
@click.option(
    "--owner",
    multiple=True,
    help="With --all: images of the project with this id instead of the own; repeatable.",
)
@click.option("--tag", multiple=True, help="With --all: images with this tag; repeatable.")
@click.option("--status", multiple=True, help="With --all: images of this status; repeatable.")
@click.option("--snapshots", is_flag=True, help="With --all: also snapshots of servers.")
@click.option("--dry-run", is_flag=True, help="With --all: print a table of what would be written.")
@click.option(
    "--to",
    type=click.Path(file_okay=False, path_type=Path),
    show_default="standard output",
    help="With --all: folder for a file of each image.",
)
def migrate(from_cloud: str, image: str | None, everything: bool, **given: Any) -> None:  # noqa: ANN401, FBT001  # options
    """Print CloudImages that copy images from another cloud.

    cloudimage migrate --from-cloud old --image debian-12 --secret openstack --cloud new |
    kubectl apply -f -

    The operator reads the bytes by a Secret with credentials of the old cloud, which is yours to
    make. What is printed holds no secret, and is the same for the same images: keep it in Git.
    """
    if bool(image) == everything:
        raise click.UsageError("give either --image or --all")
    if everything and given["name"]:
        raise click.UsageError("--name is for one image; with --all each keeps its own")
    if not everything and (used := [each for each in _WITH_ALL if given[each]]):
        names = ", ".join(f"--{each.replace('_', '-')}" for each in used)
        raise click.UsageError(f"{names} can only be used with --all")
    from cloudimage.cli.migrate import Wanted

    wanted = Wanted(
        secret=given["secret"],
        cloud=given["cloud"],
        source_secret=given["from_secret"] or _secret_name(from_cloud),
        source_cloud=given["from_secret_cloud"] or from_cloud,
        namespace=given["namespace"],
        visibility=given["with_visibility"],
        owner=given["with_owner"],
    )
    with told():
        if image:
            _one(from_cloud, image, given["name"], wanted, members=given["members"])
        else:
            _all(from_cloud, wanted, given)


def _secret_name(cloud: str) -> str:
    from cloudimage.cli.migrate_all import kubernetes_name

    name = kubernetes_name(cloud)
    if not name:
        raise click.UsageError(f"no Secret can be called {cloud}: give --from-secret")
    return name


def _one(cloud: str, image: str, name: str | None, wanted: "Wanted", *, members: bool) -> None:
    from cloudimage.cli import migrate as manifests
    from cloudimage.cli.migrate_all import Planned, name_all
    from cloudimage.cli.migrate_source import find_image, members_of, opened

    with opened(cloud) as glance:
        found = find_image(glance, image)
        manifests.check(found)
        planned = Planned(found, name) if name else name_all([found])[0]
        shared = members_of(glance, found) if members else ()
    say(_text(planned, shared, wanted, cloud), nl=False)


def _text(planned: "Planned", members: Sequence["Member"], wanted: "Wanted", cloud: str) -> str:
    from cloudimage.cli import migrate as manifests

    image, name = planned.image, planned.name or ""
    documents = [manifests.cloud_image(image, name, wanted)]
    if share := manifests.image_share(name, members, wanted):
        documents.append(share)
    return manifests.render(manifests.comments(image, wanted, cloud), documents)


def _all(cloud: str, wanted: "Wanted", given: dict[str, Any]) -> None:
    from dataclasses import replace

    from cloudimage.cli import migrate as manifests
    from cloudimage.cli import migrate_all
    from cloudimage.cli.migrate_source import all_images, members_of, opened

    filters = migrate_all.Filters(
        pattern=given["match"] or "",
        visibilities=frozenset(given["visibility"]),
        owners=frozenset(given["owner"]),
        tags=frozenset(given["tag"]),
        statuses=frozenset(given["status"]),
        snapshots=given["snapshots"],
    )
    with opened(cloud) as glance:
        planned = migrate_all.plan(all_images(glance), glance.project_id, filters)
        written = [each for each in planned if each.name]
        asked = written if given["members"] else []
        members = {each.image.id: members_of(glance, each.image) for each in asked}
    wanted = replace(wanted, names={each.image.id: each.name for each in written if each.name})
    if given["dry_run"]:
        shares = (each for each, found in members.items() if manifests.shared_with(found))
        rows = migrate_all.table(planned, shares)
        say(aligned([[plain(cell) for cell in row] for row in rows]))
        return
    texts = [
        (each.name or "", _text(each, members.get(each.image.id, ()), wanted, cloud))
        for each in written
    ]
    if given["to"]:
        put(given["to"], texts)
    else:
        say("---\n".join(text for _, text in texts), nl=False)
    say("\n".join(_summary(planned)), err=True)


def _summary(planned: Sequence["Planned"]) -> Iterator[str]:
    written = sum(each.name is not None for each in planned)
    yield f"Images written: {written}; skipped: {len(planned) - written}."
    for each in planned:
        if each.name is None:
            label = plain(each.image.name or "(no name)")
            yield f"Skipped {label} ({each.image.id}): {plain(each.why)}."


def put(folder: Path, texts: Sequence[tuple[str, str]]) -> None:
    """Write a file for each image; others in the folder stay.

    Raises:
        CommandError: The folder cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts:
            (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{error.filename or folder}: {error.strerror}.") from error
