"""The pods' network: a bridge of our own, from which the servers of loopback can be reached.

Pods have a loopback of their own, and the test bed's servers listen on this machine's. So what a
pod sends to the bridge's address goes on to loopback, on the same port, and what it sends to the
Service ``kubernetes`` goes to the API server. That is all of kube-proxy that is needed here.
"""

import json
import re
import shlex
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

GATEWAY = "198.18.96.1"
"""The bridge's address, out of the network that RFC 2544 keeps for tests."""
SUBNET = "198.18.96.0/24"
SERVICE = "10.96.0.1"
"""The first address of the API server's Service range, which Kubernetes gives itself."""
PLUGINS = Path("/usr/lib/cni")
BRIDGE = "cloudimage-bed"
DOCKERS = r"DOCKER|br-[0-9a-f]{12}|docker0"
"""What rules of Docker's name: its chains, and the links of its networks."""


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
        close_loopback(self.name)
        if Path(f"/sys/class/net/{self.name}").exists():
            _run("ip", "link", "delete", self.name)

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
    close_loopback(link)
    Path(f"/proc/sys/net/ipv4/conf/{link}/route_localnet").write_text("1")
    rule = ("PREROUTING", "-i", link, "-p", "tcp", "-d", address, "-j", "DNAT", "--to", "127.0.0.1")
    _run("iptables", "-t", "nat", "-A", *rule)


def close_loopback(link: str) -> None:
    """Take away all rules for what comes in by a link before it is routed."""
    for line in _run("iptables", "-t", "nat", "-S", "PREROUTING").splitlines():
        if re.search(rf" -i {link} ", line):
            _run("iptables", "-t", "nat", *_opposite(line))


def rules() -> list[str]:
    """Return this machine's rules, each as the words that make it."""
    found = []
    for program in ("iptables", "ip6tables"):
        for table in ("filter", "nat"):
            words = (program, "-t", table)
            # Not every kernel has both protocols.
            done = subprocess.run([*words, "-S"], capture_output=True, text=True, check=False)
            found += [" ".join((*words, line)) for line in done.stdout.splitlines()]
    return found


def forget_docker(before: Iterable[str]) -> None:
    """Remove the rules that Docker leaves behind when it ends, and restore the policies.

    Args:
        before: The rules that were there before it.
    """
    now, old = rules(), set(before)
    new = [rule for rule in now if rule not in old]
    chains = [rule for rule in new if re.search(r" -N DOCKER", rule)]
    for rule in new:
        if re.search(rf" -A .*({DOCKERS})", rule):
            _run(*_opposite(rule))
    for chain in chains:
        _run(*shlex.split(chain.replace(" -N ", " -X ")))
    for policy in old - set(now):
        if " -P " in policy:
            _run(*shlex.split(policy))


def _opposite(rule: str) -> list[str]:
    """Return the words that take away what a listed rule made."""
    return shlex.split(re.sub(r"(^|\s)-A ", r"\1-D ", rule, count=1))


def _run(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout
