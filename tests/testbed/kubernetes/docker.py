"""Docker: the machine's own where it answers, else an engine of ours while it is needed.

Ours is the distribution's dockerd, started by root. What it makes once stays in the per-user cache;
all else that it does to the machine is taken away by ``down``.
"""

import contextlib
import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

from testbed import packages
from testbed.commands import run
from testbed.kubernetes import oci_runtime, traces
from testbed.kubernetes.network import forget_docker, rules
from testbed.paths import cache_dir
from testbed.process import NotReadyError, Service

READY_SECONDS = 60.0
SYSCTLS = (
    *traces.SYSCTLS,
    "net/ipv6/conf/all/forwarding",
    # Set by the systemd of a node, for all of the machine.
    *("fs/file-max", "fs/nr_open", "kernel/pid_max", "kernel/core_uses_pid", "kernel/sysrq"),
    *("fs/protected_fifos", "fs/protected_hardlinks"),
    *("fs/protected_regular", "fs/protected_symlinks"),
)
"""Settings of the whole machine that Docker, or a node in it, changes."""
# Docker makes what a container mounts where it is missing; kind's nodes mount /lib/modules.
PATHS = (
    "/etc/docker/key.json",
    "/lib/modules",
    "/opt/containerd",
    "/run/containerd",
    "/run/docker",
)


class DockerError(RuntimeError):
    """There is no Docker here, and none could be had; the message says what to do."""


@dataclass(frozen=True)
class Docker:
    """A Docker engine as its client sees it.

    Attributes:
        folder: The state of ours; a short path, since it has sockets.
    """

    folder: Path

    @property
    def is_ours(self) -> bool:
        """Whether it is of our own; it may have been killed."""
        return self._record.exists()

    @property
    def environment(self) -> dict[str, str]:
        """What tells clients where it is."""
        if not self.is_ours:
            return {}
        # Neither the user's context nor their credential helpers.
        config = self.folder / "client"
        return {"DOCKER_HOST": f"unix://{self._socket}", "DOCKER_CONFIG": str(config)}

    @property
    def service(self) -> Service:
        """The process of ours."""
        return Service("dockerd", self.folder)

    def run(self, *words: str | Path, **environment: str) -> str:
        """Run the client, and return what it printed.

        Raises:
            CommandError: It failed.
        """
        return run("docker", *words, env={**self.environment, **environment})

    def answers(self) -> bool:
        """Return whether an engine answers."""
        asked = ("docker", "version", "--format", "{{.Server.Version}}")
        with contextlib.suppress(FileNotFoundError):
            env = {**os.environ, **self.environment}
            return subprocess.run(asked, env=env, capture_output=True, check=False).returncode == 0
        return False

    def has(self, image: str) -> bool:
        """Return whether it has an image of that name."""
        return bool(self.run("images", "--quiet", image).strip())

    def install(self) -> None:
        """Install what our own engine needs, unless an engine answers.

        Raises:
            DockerError: No engine answers and this user cannot start one.
            MissingPackagesError: The packages could not be installed.
        """
        if self.answers():
            return
        if os.geteuid() != 0:
            raise DockerError("no Docker answers here, and only root can start one: run it as root")
        packages.ensure("docker")
        packages.ensure("docker-cli")  # from Debian 13 on a package of its own

    def up(self) -> None:
        """Start our own engine unless an engine answers.

        Raises:
            DockerError: No engine answers and this user cannot start one.
            NotReadyError: It did not start; another checkout's may run.
        """
        if not self.is_ours:
            if self.answers():
                return
            self.install()
            self.folder.mkdir(parents=True, exist_ok=True)
            traces.record(self._record, SYSCTLS, map(Path, PATHS), rules())
            try:
                self._start()
            except NotReadyError:
                self.service.stop()
                self._forget()
                raise
            self._forget_containers()
        elif self.service.process() is None:
            self._start()
        self.service.wait(self.answers, READY_SECONDS)

    def down(self) -> None:
        """Stop ours, and take away all but what the cache keeps; its containers have ended."""
        if not self.is_ours:
            return
        self.service.stop()
        traces.end_containers(self.folder)
        traces.unmount(self.folder)
        traces.unmount(self._data)
        traces.remove_cgroups(self._cgroup)
        self._forget()

    def _forget(self) -> None:
        forget_docker(traces.restore(self._record))
        shutil.rmtree(self.folder, ignore_errors=True)  # a mount of it may be busy for a moment

    def _start(self) -> None:
        config = self.folder / "dockerd.json"
        config.write_text(json.dumps(self._settings()))
        # There is one a user: the lock is held as long as anything of it runs.
        lock = ("flock", "--verbose", "--nonblock", "--no-fork", f"{self._data}.lock")
        self.service.start([*lock, "dockerd", "--config-file", config])
        self.service.wait(self.answers, READY_SECONDS)

    def _forget_containers(self) -> None:
        """Remove what an engine left in the cache whose folder is gone, as after a crash."""
        for container in self.run("ps", "--all", "--quiet").split():
            self.run("rm", "--force", "--volumes", container)
        self.run("network", "prune", "--force")

    def left(self) -> list[str]:
        """Return what ours has left on the machine, if anything: mounts, cgroups, processes."""
        places = (self.folder, self._data)
        found = [mount for place in places for mount in traces.mounts(place)]
        found += [str(group) for group in traces.cgroups(self._cgroup)]
        for process in psutil.process_iter(["cmdline"]):
            words = " ".join(process.info["cmdline"] or ())
            if any(f"{place}/" in words for place in places):
                found.append(words)
        return found

    def _settings(self) -> dict[str, object]:
        """Return dockerd's configuration: https://docs.docker.com/reference/cli/dockerd/."""
        settings: dict[str, object] = {
            "hosts": [f"unix://{self._socket}"],
            "pidfile": str(self.folder / "docker.pid"),
            "data-root": str(self._data),
            "exec-root": str(self.folder / "exec"),
            # No link of its own: clusters have their network, and images are built without one.
            "bridge": "none",
            "exec-opts": ["native.cgroupdriver=cgroupfs"],
            "cgroup-parent": self._cgroup,
        }
        if oci_runtime.lacks_some(Path("/proc/self/status").read_text()):
            settings |= {
                "runtimes": {"trimmed": {"path": str(self._write_runtime())}},
                "default-runtime": "trimmed",
            }
        return settings

    def _write_runtime(self) -> Path:
        """Write the program that Docker takes for runc."""
        path = self.folder / "runc"
        words = (sys.executable, "-I", oci_runtime.__file__)
        path.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
        path.chmod(0o755)
        return path

    @property
    def _cgroup(self) -> str:
        return f"cloudimage-{hashlib.sha256(str(self.folder).encode()).hexdigest()[:8]}"

    @property
    def _data(self) -> Path:
        return cache_dir() / "docker"

    @property
    def _record(self) -> Path:
        return self.folder / traces.RECORD

    @property
    def _socket(self) -> Path:
        return self.folder / "docker.sock"
