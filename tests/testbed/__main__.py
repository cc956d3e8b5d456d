"""The test bed's command line: ``python -m testbed install|up|down|status [part ...]``.

Progress goes to standard error. Standard output has what runs where, and lines for the shell:
``eval "$(python -m testbed up | grep ^export)"``.
"""

import argparse
import contextlib
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Protocol

import psutil

from testbed import packages
from testbed.buckets import Buckets
from testbed.kubernetes import Kubernetes
from testbed.kubernetes.kind import Kind
from testbed.kubernetes.whole import WholeKubernetes
from testbed.openstack import OpenStack
from testbed.operator import end_demo
from testbed.paths import forget_state
from testbed.process import kill
from testbed.sources import Sources

REPORT_SECONDS = 30.0

StatusRow = tuple[str, int | None, str]
Work = Callable[["Part"], None]


class Part(Protocol):
    """What every part of the test bed can do."""

    def install(self) -> None:
        """Get ready what is made once."""

    def up(self) -> None:
        """Start, and wait until it answers."""

    def down(self) -> None:
        """Stop without a trace."""

    def status(self) -> Sequence[StatusRow]:
        """Say what runs where."""


PARTS: dict[str, Callable[[], Part]] = {
    "kubernetes": Kubernetes,
    "openstack": OpenStack,
    "boot": OpenStack.booting,
    "sources": Sources,
    "buckets": Buckets,
    "whole": WholeKubernetes,
    "kind": Kind.new,
}
# Buckets, a cluster with a node and a cloud whose servers boot are started by the tests that need
# them, or by name; kind is only made by name.
STARTED = ("kubernetes", "openstack", "sources")
INSTALLED = (*STARTED, "buckets", "whole")
# What each command does to a part; `status` only looks, `install` stops at the first failure.
WORKS: dict[str, Work] = {
    "up": lambda part: part.up(),
    "down": lambda part: part.down(),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m testbed", description=__doc__.split("\n")[0])
    parser.add_argument("command", choices=("install", *WORKS, "status"))
    parser.add_argument("parts", nargs="*", metavar="part", help=f"some of {', '.join(PARTS)}")
    options = parser.parse_args(arguments)
    unknown = set(options.parts) - set(PARTS)
    if unknown:
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    return run(options.command, options.parts)


def run(command: str, names: Sequence[str]) -> int:
    """Do the command for the named parts, all when none is named."""
    unasked = {"install": INSTALLED, "up": STARTED}.get(command, tuple(PARTS))
    parts = {name: PARTS[name]() for name in names or unasked}
    try:
        if command == "install":
            packages.ensure(*names)
        elif command == "up":
            packages.ensure(*parts)
    except packages.MissingPackagesError as error:
        say(str(error))
        return 1
    if command == "install":
        return 0 if install(parts) else 1
    succeeded = command not in WORKS or each(parts, command, WORKS[command])
    if command == "down":
        if not names:
            end_demo()
        forget_state()
    if command in {"up", "status"}:
        print(*table(parts), *exports(parts), sep="\n")
    return 0 if succeeded else 1


def install(parts: Mapping[str, Part]) -> bool:
    """Install all parts at once; the first failure stops the others, and is the last line."""
    others = set(psutil.Process().children())
    with ThreadPoolExecutor(len(parts)) as pool:
        running = {pool.submit(part.install): name for name, part in parts.items()}
        for name, future, seconds in _completed(running, "install"):
            if future.exception() is not None:
                break
            report(name, "install", seconds, future)
        else:
            return True
        while wait(running, 0.1).not_done:
            # Again each time round: a part may have started another program meanwhile.
            _end_children(but=others)
    return report(name, "install", seconds, future)


def _end_children(but: set[psutil.Process]) -> None:
    for child in set(psutil.Process().children()) - but:
        with contextlib.suppress(psutil.NoSuchProcess):
            kill([child, *child.children(recursive=True)])


def each(parts: Mapping[str, Part], what: str, work: Work) -> bool:
    """Do the work for all parts at once; say how long each took, and return whether all did it."""
    with ThreadPoolExecutor(len(parts)) as pool:
        running = {pool.submit(work, part): name for name, part in parts.items()}
        done = [report(name, what, seconds, f) for name, f, seconds in _completed(running, what)]
    return all(done)


def _completed(
    running: Mapping[Future[None], str], what: str
) -> Iterator[tuple[str, Future[None], float]]:
    """Yield each part as soon as it is done, with its seconds; say now and then which are not."""
    begin = time.monotonic()
    left = dict(running)
    while left:
        done, _ = wait(left, REPORT_SECONDS, return_when="FIRST_COMPLETED")
        seconds = time.monotonic() - begin
        if not done:
            say(f"{', '.join(left.values())}: {what}, {seconds:.0f} s so far")
        for future in done:
            yield left.pop(future), future, seconds


def report(name: str, what: str, seconds: float, future: Future[None]) -> bool:
    """Say how a part's work ended, and return whether it succeeded."""
    error = future.exception()
    ended = f"after {seconds:.1f} s" if error is None else f"failed: {error}"
    say(f"{name}: {what} {ended}")
    return error is None


def table(parts: Mapping[str, Part]) -> Iterator[str]:
    """Yield lines of what runs where."""
    yield f"{'PART':<12}{'SERVICE':<16}{'PID':<9}URL"
    for name, part in parts.items():
        for service, pid, url in part.status():
            yield f"{name:<12}{service:<16}{pid or 'down':<9}{url if pid else ''}"


def exports(parts: Mapping[str, Part]) -> Iterator[str]:
    """Yield lines that make a shell use the parts that run."""
    for part in parts.values():
        if not all(pid for _, pid, _ in part.status()):
            continue
        if isinstance(part, Kubernetes):
            yield f"export KUBECONFIG={shlex.quote(str(part.kubeconfig))}"
            yield f"export PATH={shlex.quote(str(part.kubectl.parent))}{os.pathsep}$PATH"
        elif isinstance(part, OpenStack):
            yield f"export OS_CLIENT_CONFIG_FILE={shlex.quote(str(part.clouds_yaml))}"


def say(text: str) -> None:
    """Print progress."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
