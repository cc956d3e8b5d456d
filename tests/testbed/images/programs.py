"""Running the programs that make images."""

import os
import subprocess
from pathlib import Path


def run(*words: object, cwd: Path | None = None, stdout: Path | None = None) -> None:
    """Run a program quietly.

    Args:
        words: Its name and arguments.
        cwd: Where to run it.
        stdout: A file for its output, which is thrown away otherwise.

    Raises:
        RuntimeError: It failed; the message has what it said.
    """
    command = list(map(str, words))
    with (stdout or Path(os.devnull)).open("wb") as output:
        done = subprocess.run(
            command, cwd=cwd, stdout=output, stderr=subprocess.PIPE, text=True, check=False
        )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
