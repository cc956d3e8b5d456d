"""The commands that ask beforehand; nothing is changed by them."""

from typing import TYPE_CHECKING

import click

from cloudimage.cli import options
from cloudimage.cli.arguments import Where
from cloudimage.cli.connecting import (
    CredentialsError,
    cluster_of,
    local_config,
    secret_config,
    told,
)
from cloudimage.cli.output import say

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cloudimage.cli.check import Line


@click.command()
@click.option("--secret", help="Secret with the clouds.yaml, as a CloudImage names it.")
@click.option("--cloud", required=True, help="The cloud in that clouds.yaml.")
@click.option(
    "--local",
    is_flag=True,
    help="Take your own clouds.yaml, which is looked up as the openstack client does.",
)
@click.option("--source", is_flag=True, help="Only whether images can be read, to copy them.")
@click.option("--boot-test", is_flag=True, help="Also what spec.bootTest needs of the cloud.")
@click.option(
    "--output", "-o", type=click.Choice(["json"]), show_default="text", help="Output format."
)
@options.cluster
def check(
    secret: str | None,
    cloud: str,
    output: str | None,
    where: Where,
    **given: bool,
) -> None:
    """Check what the operator may do with a cloud's credentials: login, rights, stores, quota.

    Rights are tried on an image record without bytes, which is deleted at once; with --boot-test
    also on a key pair, and on a server of a flavor that is not there. The exit status is 0 if all
    is there that every CloudImage needs, with --boot-test also that every boot test needs, and 2 if
    not.

    For example: cloudimage check --secret openstack --cloud images -n images
    """
    if given["local"] == bool(secret):
        raise click.UsageError("give either --secret, or --local")
    if given["source"] and given["boot_test"]:
        raise click.UsageError("give either --source, or --boot-test")
    from cloudimage.cli import check as questions

    with told():
        found = list(_found(secret, cloud, where, given))
    say(questions.json_of(found) if output == "json" else questions.text_of(found))
    raise click.exceptions.Exit(questions.exit_status(found))


def _found(
    secret: str | None, cloud: str, where: Where, given: "Mapping[str, bool]"
) -> "Iterator[Line]":
    """Yield what is found of the credentials, and by them."""
    from cloudimage.cli import check_boot_test, check_source
    from cloudimage.cli.check import Line, look

    what = "Secret" if secret else "clouds.yaml"
    try:
        if secret is None:
            config = local_config(cloud)
        else:
            with cluster_of(where) as cluster:
                config = secret_config(cluster, secret, cloud)
    except CredentialsError as error:
        yield Line(what, "missing", str(error))
        return
    yield Line(what, "ok", f"has the cloud {cloud}")
    if given["source"]:
        yield from check_source.look(config)
    else:
        yield from check_boot_test.look(config) if given["boot_test"] else look(config)


@click.command()
@click.option(
    "--filename",
    "-f",
    "files",
    multiple=True,
    required=True,
    type=click.Path(allow_dash=True),
    help="File with manifests, or - for standard input; repeatable.",
)
@click.option(
    "--local",
    metavar="CLOUD",
    help="Take this cloud of your own clouds.yaml, and not what the CloudImages name.",
)
@click.option(
    "--no-probe",
    is_flag=True,
    help="Do not try rights on an image record without bytes, which is deleted at once.",
)
@click.option(
    "--output", "-o", type=click.Choice(["json"]), show_default="text", help="Output format."
)
@options.cluster
def plan(
    files: tuple[str, ...],
    local: str | None,
    no_probe: bool,  # noqa: FBT001  # an option
    output: str | None,
    where: Where,
) -> None:
    """Show what would happen if manifests were applied, without applying them.

    Of each CloudImage: the change of its image's metadata, or the new image and why, the bytes to
    fetch, the checksum found, the format and the virtual size, the rights and the quota. The exit
    status is 0 if nothing would change, 2 if something would, and 1 if it would fail.

    For example: cloudimage plan -f debian-12.yaml
    """
    from cloudimage.cli import plan as planning
    from cloudimage.cli import plan_report as report

    with told():
        plans = planning.run(files, where, planning.Options(local, probe=not no_probe))
    say(report.json_of(plans) if output == "json" else report.text_of(plans))
    raise click.exceptions.Exit(report.exit_status(plans))


COMMANDS = (check, plan)
