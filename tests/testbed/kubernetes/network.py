"""The pods' network: a bridge of our own, from which the servers of loopback can be reached.

Pods have a loopback of their own, and the test bed's servers listen on this machine's. So what a
pod sends to the bridge's address goes on to loopback, on the same port, and what it sends to the
Service ``kubernetes`` goes to the API server. That is all of kube-proxy that is needed here.
"""

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

GATEWAY = "198.18.96.1"
"""The bridge's address, out of the network that RFC 2544 keeps for tests."""
SUBNET = "198.18.96.0/24"
SERVICE = "10.96.0.1"
"""The first address of the API server's Service range, which Kubernetes gives itself."""
PLUGINS = Path("/usr/lib/cni")
BRIDGE = "cloudimage-bed"


@dataclass(frozen=True)
class Bridge:
    """A bridge, and the rules for what comes in by it.

    Attributes:
        name: Of the link: 15 bytes at most.
    """

    name: str = BRIDGE

    def up(self, apiserver_port: int) -> None:
        """Make it with the rules of this API server, in place of what there was."""
        self.down()
        _run("ip", "link", "add", self.name, "type", "bridge")
        _run("ip", "address", "add", f"{GATEWAY}/24", "dev", self.name)
        _run("ip", "link", "set", self.name, "up")
        open_loopback(self.name, GATEWAY)
        target = f"127.0.0.1:{apiserver_port}"
        match = ("-i", self.name, "-p", "tcp", "-d", SERVICE, "--dport", "443")
        _run("iptables", "-t", "nat", "-A", "PREROUTING", *match, "-j", "DNAT", "--to", target)

    def down(self) -> None:
        """Take the rules and the bridge away, if they are there."""
        for rule in self._rules():
            _run("iptables", "-t", "nat", *rule)
        if Path(f"/sys/class/net/{self.name}").exists():
            _run("ip", "link", "delete", self.name)

    def _rules(self) -> Iterator[list[str]]:
        listed = _run("iptables", "-t", "nat", "-S", "PREROUTING")
        for line in listed.splitlines():
            if re.search(rf" -i {self.name} ", line):
                yield line.replace("-A", "-D", 1).split()

    def write_config(self, folder: Path, state: Path) -> None:
        """Write what the container runtime asks CNI's plugins to do for each pod."""
        folder.mkdir(parents=True, exist_ok=True)
        addresses = {
            "type": "host-local",
            "dataDir": str(state),
            "ranges": [[{"subnet": SUBNET, "gateway": GATEWAY}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        }
        plugin = {"type": "bridge", "bridge": self.name, "isGateway": True, "ipam": addresses}
        config = {"cniVersion": "0.4.0", "name": self.name, "plugins": [plugin]}
        (folder / "10-bed.conflist").write_text(json.dumps(config))


def open_loopback(link: str, address: str) -> None:
    """Have what comes in by a link for its own address reach the servers of loopback."""
    Path(f"/proc/sys/net/ipv4/conf/{link}/route_localnet").write_text("1")
    rule = ("PREROUTING", "-i", link, "-p", "tcp", "-d", address, "-j", "DNAT", "--to", "127.0.0.1")
    _run("iptables", "-t", "nat", "-A", *rule)


def _run(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout
