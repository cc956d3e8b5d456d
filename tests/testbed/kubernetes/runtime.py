"""containerd, from Debian, with a folder of its own: pods really run."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from testbed.container_image import PAUSE
from testbed.kubernetes.network import PLUGINS, Bridge
from testbed.process import Service

CONFIG = """\
version = 2
root = "{folder}/root"
state = "{folder}/state"
# Nothing but the kubelet talks to it, on a socket that is root's.
[grpc]
  address = "{folder}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  stream_server_address = "127.0.0.1"
  # Machines of CI often have neither.
  disable_apparmor = true
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{plugins}"
    conf_dir = "{folder}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
"""


@dataclass(frozen=True)
class Runtime:
    """One containerd.

    Attributes:
        folder: Everything of it; a short path, since it has sockets.
        bridge: The network of its pods.
    """

    folder: Path
    bridge: Bridge

    @property
    def socket(self) -> Path:
        """Where the kubelet finds it."""
        return self.folder / "containerd.sock"

    @property
    def service(self) -> Service:
        """The process."""
        return Service("containerd", self.folder)

    def up(self) -> None:
        """Start it and wait until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.bridge.write_config(self.folder / "cni", self.folder / "addresses")
        config = self.folder / "config.toml"
        config.write_text(CONFIG.format(folder=self.folder, pause=PAUSE, plugins=PLUGINS))
        if self.service.process() is None:
            self.service.start(["containerd", "--config", config, "--log-level", "warn"])
        self.service.wait(lambda: self.socket.exists() and self._answers())

    def load(self, archive: Path) -> None:
        """Take an image out of an archive, as a pull would."""
        self._ctr("images", "import", str(archive))

    def kill_all(self) -> None:
        """End every container, with its shim: they outlive containerd."""
        if self.service.process() is None:
            return
        for task in self._ctr("tasks", "list", "--quiet").split():
            self._try("tasks", "delete", "--force", task)
        for container in self._ctr("containers", "list", "--quiet").split():
            self._try("containers", "delete", container)

    def _answers(self) -> bool:
        return self._try("version").returncode == 0

    def _ctr(self, *words: str) -> str:
        done = self._try(*words)
        done.check_returncode()
        return done.stdout

    def _try(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = ("ctr", "--address", str(self.socket), "--namespace", "k8s.io", *words)
        return subprocess.run(command, capture_output=True, text=True, check=False)
