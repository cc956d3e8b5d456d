"""Commands that run to their end."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

_TAIL_CHARACTERS = 3000


class CommandError(RuntimeError):
    """A command failed; the message ends with what it printed last."""


def run(*command: str | Path, env: Mapping[str, str] | None = None) -> None:
    """Run a command; ``env`` goes on top of the caller's environment.

    It runs in ``/``, because another user cannot always enter the caller's folder.
    """
    words = [str(word) for word in command]
    done = subprocess.run(
        words, env={**os.environ, **(env or {})}, cwd="/", capture_output=True, check=False
    )
    if done.returncode:
        printed = (done.stdout + done.stderr).decode(errors="replace")
        raise CommandError(f"{' '.join(words)} failed:\n{printed[-_TAIL_CHARACTERS:]}")
