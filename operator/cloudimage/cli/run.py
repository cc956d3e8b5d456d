"""``cloudimage run``: the operator, set up from its options and environment."""

import logging
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from cloudimage.settings import Setting


class RunCommand(click.Command):
    """Has an option for each setting; they are imported once they are asked for."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the options."""
        from cloudimage.settings import SETTINGS

        return [*map(_option, SETTINGS), *super().get_params(ctx)]


@click.command(cls=RunCommand)
def run(**given: str | bool | None) -> None:
    """Run the operator until it is told to stop."""
    from pydantic import ValidationError

    from cloudimage.settings import Settings

    try:
        settings = Settings(**{name: text for name, text in given.items() if text is not None})  # type: ignore[arg-type]  # the model judges
    except ValidationError as error:
        raise click.BadParameter("; ".join(map(_complaint, error.errors()))) from error
    from cloudimage import __version__, logs, revision
    from cloudimage.leader_election.elector import lead
    from cloudimage.metrics import operator as metrics
    from cloudimage.operator import Operator, load_kubernetes_config
    from cloudimage.runners.child import sweep

    logs.configure(settings.log_level)
    settings.scratch.mkdir(parents=True, exist_ok=True)
    sweep(settings.scratch)  # one that only stands by would keep it for ever
    load_kubernetes_config()
    metrics.LEADER.labels(str(settings.shard_index)).set(0)
    if settings.metrics_address:
        metrics.serve(settings.metrics_address)
    build = {"version": __version__, "commit": revision()}
    logging.getLogger(__name__).info("starting", extra=build)
    if settings.terms is None:
        Operator(settings).run()
    else:
        lead(settings.terms, settings.probe_address or None, lambda: Operator(settings))


def _complaint(error: "ErrorDetails") -> str:
    from cloudimage.settings import SETTINGS

    of = [each for each in SETTINGS if each.name in error["loc"][:1]]  # none: of all together
    names = [f"{each.option} (env var: {each.variable})" for each in of]
    return ": ".join((*names, error["msg"].removeprefix("Value error, ")))


def _option(setting: "Setting") -> click.Option:
    """Return the option of a setting; the model reads the environment, and judges both."""
    default = f" [default: {setting.default}]" if setting.default else ""
    is_flag = setting.kind == "boolean"
    no = f"/--no-{setting.option.removeprefix('--')}" if is_flag else ""
    return click.Option(
        [setting.option + no],
        is_flag=is_flag,
        default=None,
        metavar=None if is_flag else f"<{setting.kind}>",
        help=f"{setting.description} [env var: {setting.variable}]{default}",
    )
