"""The command ``cloudimage``, and ``python -m cloudimage``."""

import contextlib
import io
import os
import shlex
import sys

from cloudimage.transfer.prctl import hide_memory


def main() -> None:
    """Run the command line, with its memory hidden before anything of weight is imported."""
    hide_memory()
    from cloudimage.cli.app import app  # noqa: PLC0415  # after the memory is hidden

    app()


def complete() -> None:
    """``kubectl_complete-cloudimage``: what kubectl runs for TAB behind ``kubectl cloudimage``.

    It gets the words so far, the last one maybe empty, prints a line for each offer, and ends with
    cobra's directive that files are not offered
    (https://kubernetes.io/docs/tasks/extend-kubectl/kubectl-plugins/).
    """
    words = ["cloudimage", *sys.argv[1:]]
    os.environ["_CLOUDIMAGE_COMPLETE"] = "complete_bash"  # as typer's script for bash asks
    os.environ["COMP_WORDS"] = shlex.join(words)
    os.environ["COMP_CWORD"] = str(len(words) - 1)
    from cloudimage.cli.app import app  # noqa: PLC0415  # reads the environment

    offers = io.StringIO()
    with contextlib.redirect_stdout(offers), contextlib.suppress(SystemExit):
        app(prog_name="cloudimage")
    sys.stdout.writelines(f"{line}\n" for line in [*offers.getvalue().split(), ":4"])


if __name__ == "__main__":
    main()
