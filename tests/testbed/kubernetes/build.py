"""Builds the programs from the Go modules that ``tools/go.mod`` pins."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from testbed.kubernetes.errors import BinaryError
from testbed.kubernetes.pins import TOOLS, TOOLS_FOLDER, Tool

# Static programs, whatever C compiler there is or is not; as the projects themselves release them.
ENVIRONMENT = {"CGO_ENABLED": "0", "GOWORK": "off"}
REPORT_SECONDS = 15.0
NO_GO = (
    "{names}: not in the cache, and Go, which would build them, is not on PATH. Do one of:\n"
    "  install Go as tools/go.mod says (https://go.dev/dl/), or\n"
    "  set TESTBED_DOWNLOAD=1 to download the official releases, or\n"
    "  set KUBEBUILDER_ASSETS to a folder that has them."
)


def build(tools: Sequence[Tool], folder: Path) -> None:
    """Build the tools in one go, since most of their packages are the same, into the folder.

    Raises:
        BinaryError: Go is missing, or the build failed.
    """
    names = ", ".join(tool.name for tool in tools)
    go = shutil.which("go")
    if go is None:
        raise BinaryError(NO_GO.format(names=names))
    print(f"kubernetes: building {names} (the first time takes minutes)", file=sys.stderr)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        flags = ("-trimpath", "-v", "-ldflags", " ".join(linker_flags()), "-o", f"{scratch}/")
        _run([go, "build", *flags, *(tool.main_package for tool in tools)], ENVIRONMENT)
        for tool in tools:
            (Path(scratch) / tool.built_name).replace(folder / tool.name)


def linker_flags() -> list[str]:
    """Return the flags that write the versions into the programs.

    A Go module has no Git commit and no build date, so those stay unset, which also keeps the
    result the same wherever it is built. Flags for a package that a program lacks are ignored.
    """
    kubernetes = TOOLS["kubectl"].version
    major, minor = kubernetes.removeprefix("v").split(".")[:2]
    values = {
        "gitVersion": kubernetes,
        "gitMajor": major,
        "gitMinor": minor,
        "gitTreeState": "archive",
    }
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    stamps = [f"-X {package}.{key}={values[key]}" for package in packages for key in values]
    helm = f"-X {TOOLS['helm'].module}/internal/version.version={TOOLS['helm'].version}"
    return ["-s", "-w", *stamps, helm]


def _run(command: Sequence[str], env: Mapping[str, str]) -> None:
    """Run ``go build -v``, which names each package that it compiled, and report now and then."""
    with subprocess.Popen(
        command,
        cwd=TOOLS_FOLDER,
        env={**os.environ, **env},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        last_lines = _follow(process.stderr or ())
    if process.returncode != 0:
        raise BinaryError("go build failed:\n" + "\n".join(last_lines))


def _follow(lines: Iterable[str]) -> deque[str]:
    start = reported = time.monotonic()
    tail: deque[str] = deque(maxlen=20)
    for count, line in enumerate(lines, 1):
        tail.append(line.rstrip())
        now = time.monotonic()
        if now - reported > REPORT_SECONDS:
            reported = now
            print(f"kubernetes: {count} packages, {now - start:.0f} s", file=sys.stderr)
    return tail
