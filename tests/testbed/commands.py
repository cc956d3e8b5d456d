"""Commands that run to their end, and what is said of one that failed."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from testbed.paths import cache_dir

# What programs print in front of a line of their logs: a time, a process id, a level.
_LOG_PREFIX = re.compile(r"^[\d:., TZ-]+(?:\d+ )?(?:CRITICAL|ERROR) ")
_WHY_CHARACTERS = 500


class CommandError(RuntimeError):
    """A command failed; the message is one line: what failed, why, and which log has the rest."""


def run(*command: str | Path, env: Mapping[str, str] | None = None) -> str:
    """Run a command and return what it wrote to standard output.

    It runs in ``/``, because another user cannot always enter the caller's folder.

    Args:
        command: The program and its arguments.
        env: Goes on top of the caller's environment.

    Raises:
        CommandError: It failed.
    """
    words = [str(word) for word in command]
    done = subprocess.run(
        words, env={**os.environ, **(env or {})}, cwd="/", capture_output=True, check=False
    )
    printed = [text.decode(errors="replace") for text in (done.stdout, done.stderr)]
    if done.returncode:
        raise failure(words, "".join(printed))
    return printed[0]


def failure(command: Sequence[str], printed: str) -> CommandError:
    """Keep what a failed command printed in a log, and return the error that names it."""
    folder = cache_dir() / "logs"
    folder.mkdir(exist_ok=True)
    name = Path(command[0]).name
    handle, path = tempfile.mkstemp(prefix=f"{name}-", suffix=".log", dir=folder)
    with os.fdopen(handle, "w") as log:
        log.write(f"$ {' '.join(command)}\n{printed}")
    return CommandError(f"{name} failed: {_why(printed)} (all it printed: {path})")


def _why(printed: str) -> str:
    """Return the last line that says something; programs end with the reason."""
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    why = lines[-1] if lines else "it printed nothing"
    return _LOG_PREFIX.sub("", why)[:_WHY_CHARACTERS]


def missing_rights() -> str:
    """Return what this user or this machine lacks to make namespaces; empty when nothing."""
    if os.geteuid() != 0:
        return "root"
    words = ["unshare", "--mount", "--net", "true"]
    unshared = subprocess.run(words, capture_output=True, check=False)
    return "" if unshared.returncode == 0 else "the right to make namespaces"


def uv() -> Path | str:
    """Return uv's path: that of our own environment, else the one on PATH.

    Raises:
        RuntimeError: There is neither.
    """
    beside = Path(sys.executable).with_name("uv")
    found = beside if beside.exists() else shutil.which("uv")
    if found is None:
        raise RuntimeError("the test bed is installed by uv: pip install uv")
    return found
