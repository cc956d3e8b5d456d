"""Questions that kubectl answers, where it is installed.

Python's client of Kubernetes takes most of a second to import, kubectl starts in a tenth of it. So
TAB and ``get`` ask kubectl first. What it does not answer, for whatever reason, is asked again by
:mod:`cloudimage.cli.kube_client`, which also says what is wrong.
"""

import os
import shutil
import subprocess
from collections.abc import Sequence
from typing import Final

from cloudimage.api.names import GROUP
from cloudimage.cli.arguments import Target, Where

_SECONDS: Final = 30


def get(target: Target, output: Sequence[str], where: Where, seconds: int = _SECONDS) -> str:
    """Return what ``kubectl get`` prints; empty if it fails, finds nothing or is not installed.

    Args:
        target: One object, or all of a kind.
        output: The options that say how it prints them.
        where: The cluster and the namespace.
        seconds: After which it is given up.
    """
    program = shutil.which("kubectl")
    if program is None:
        return ""
    options = [f"--request-timeout={seconds}s", *output]
    options += [f"--context={where.context}"] if where.context else []
    options += ["--all-namespaces"] if where.everywhere else []
    options += [f"--namespace={where.namespace}"] if where.namespace else []
    names = [target.name] if target.name else []
    # A name cannot be taken for an option behind the two dashes.
    command = [program, "get", *options, "--", f"{target.kind.plural}.{GROUP}", *names]
    try:
        done = subprocess.run(
            command,
            env=os.environ | ({"KUBECONFIG": where.kubeconfig} if where.kubeconfig else {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds + 1,
            check=True,
            encoding="utf-8",
            errors="replace",
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout
