"""Builds the programs from the Go modules that ``tools/`` pins."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from testbed.commands import failure, run
from testbed.kubernetes import toolchain
from testbed.kubernetes.pins import TOOLS, Tool

# Static programs, whatever C compiler there is or is not; as the projects themselves release them.
ENVIRONMENT = {"CGO_ENABLED": "0", "GOWORK": "off", **toolchain.ENVIRONMENT}
REPORT_SECONDS = 15.0


def build(tools: Sequence[Tool], folder: Path) -> None:
    """Build tools of one module in one go, since most of their packages are the same.

    Args:
        tools: The tools.
        folder: Where the programs go.

    Raises:
        CommandError: Go is not available, or the build failed.
    """
    names = ", ".join(tool.name for tool in tools)
    go = str(toolchain.ensure())
    print(f"kubernetes: building {names} (the first time takes minutes)", file=sys.stderr)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        flags = ("-trimpath", "-v", "-ldflags", " ".join(linker_flags()), "-o", f"{scratch}/")
        mains = (tool.main_package for tool in tools)
        _run([go, "build", *flags, *mains], ENVIRONMENT, tools[0].folder)
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


def source_of(tool: Tool) -> Path:
    """Return the folder with a tool's module, downloaded once and verified by ``go.sum``.

    Raises:
        CommandError: Go or the module is not available.
    """
    go = toolchain.ensure()
    download = ("mod", "download", "-json", tool.module)
    answer = run(go, "-C", tool.folder, *download, env=ENVIRONMENT)
    return Path(json.loads(answer)["Dir"])


def _run(command: Sequence[str], env: Mapping[str, str], folder: Path) -> None:
    """Run ``go build -v``, which names each package that it compiled, and report now and then."""
    with subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, **env},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        printed = _follow(process.stderr or ())
    if process.returncode != 0:
        raise failure(command, printed)


def _follow(lines: Iterable[str]) -> str:
    """Report how far the build is, and return all that it printed."""
    start = reported = time.monotonic()
    printed = []
    for count, line in enumerate(lines, 1):
        printed.append(line)
        now = time.monotonic()
        if now - reported > REPORT_SECONDS:
            reported = now
            print(f"kubernetes: {count} packages, {now - start:.0f} s", file=sys.stderr)
    return "".join(printed)
