"""``cloudimage run``: the operator, set up from its options and environment."""

import inspect
import logging
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from pydantic_core import ErrorDetails
from rich.markup import escape

from cloudimage import __version__, logs, revision
from cloudimage.settings import SETTINGS, Setting, Settings


def run(**given: Any) -> None:  # noqa: ANN401  # as the user wrote it
    """Run the operator until it is told to stop."""
    try:
        settings = Settings(**{name: text for name, text in given.items() if text is not None})
    except ValidationError as error:
        raise typer.BadParameter("; ".join(map(_complaint, error.errors()))) from error
    # Imported here so that the other commands start without the Kubernetes client.
    from cloudimage.leader_election.elector import lead
    from cloudimage.metrics import operator as metrics
    from cloudimage.operator import Operator, load_kubernetes_config
    from cloudimage.runners.child import sweep

    logs.configure(settings.log_level)
    settings.scratch.mkdir(parents=True, exist_ok=True)
    sweep(settings.scratch)  # one that only stands by would keep it for ever
    load_kubernetes_config()
    if settings.metrics_address:
        metrics.serve(settings.metrics_address)
    build = {"version": __version__, "commit": revision()}
    logging.getLogger(__name__).info("starting", extra=build)
    if settings.terms is None:
        Operator(settings).run()
    else:
        lead(settings.terms, settings.probe_address or None, lambda: Operator(settings))


def _complaint(error: ErrorDetails) -> str:
    of = [each for each in SETTINGS if each.name in error["loc"][:1]]  # none: of all together
    names = [f"{each.option} (env var: {each.variable})" for each in of]
    return ": ".join((*names, error["msg"].removeprefix("Value error, ")))


def _option(setting: Setting) -> inspect.Parameter:
    """Return the option of a setting; the model reads the environment, and judges both."""
    default = f" [default: {setting.default}]" if setting.default else ""
    option = typer.Option(
        help=setting.description + escape(f" [env var: {setting.variable}]{default}"),
        metavar=f"<{setting.kind}>",
    )
    kind = bool if setting.kind == "boolean" else str
    return inspect.Parameter(
        setting.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[kind | None, option],
    )


run.__signature__ = inspect.Signature([*map(_option, SETTINGS)])  # type: ignore[attr-defined]  # typer reads it
