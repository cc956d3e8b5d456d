"""The command ``cloudimage``, and ``python -m cloudimage``."""

import sys
from pathlib import Path

from cloudimage.transfer.prctl import hide_memory


def main() -> None:
    """Run the command line, with its memory hidden before anything of weight is imported.

    As a single file, it is the program that completes words if that is what it is called.
    """
    if Path(sys.argv[0]).name == "kubectl_complete-cloudimage":
        complete()
        return
    hide_memory()
    from cloudimage.cli.app import app  # noqa: PLC0415  # after the memory is hidden
    from cloudimage.cli.completion import VARIABLE  # noqa: PLC0415  # likewise

    app(complete_var=VARIABLE)


def complete() -> None:
    """``kubectl_complete-cloudimage``: what kubectl runs for TAB behind ``kubectl cloudimage``.

    It gets the words so far, the last one maybe empty, prints a line for each offer, and ends with
    cobra's directive that files are not offered
    (https://kubernetes.io/docs/tasks/extend-kubectl/kubectl-plugins/).
    """
    hide_memory()
    from cloudimage.cli.app import app  # noqa: PLC0415  # after the memory is hidden
    from cloudimage.cli.completion import of_words  # noqa: PLC0415  # likewise

    sys.stdout.writelines(f"{line}\n" for line in [*of_words(app, sys.argv[1:]), ":4"])


if __name__ == "__main__":
    main()
