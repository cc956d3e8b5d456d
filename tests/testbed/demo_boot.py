"""``make demo-boot``: an image is Ready only after a server made from it has said what it sees.

The cloud is the one whose servers really boot; each step is seen, or the exit status is 1.
"""

import sys
import time
from typing import Any

import yaml

from testbed.commands import missing_rights
from testbed.demo import (
    NAME,
    SAMPLE,
    NotSeenError,
    Stage,
    apply_secret,
    console,
    perform,
    step,
    wait_for,
)
from testbed.images import sha256_of
from testbed.images.guests import guest_qcow2
from testbed.openstack import OpenStack
from testbed.openstack.seed import FLAVOR
from testbed.openstack.tenant_network import network_of_both

NETWORK = "provider-net"
SECONDS = 600.0
"""A server boots in 20 s on an idle machine, and in minutes on a busy one."""

_SHOWN = ("Ready", "Booted")


def main() -> int:
    """Run the demo and return its exit status."""
    if lacking := missing_rights():
        console.print(f"Servers that really boot need {lacking}.")
        return 1
    what = "an OpenStack whose servers really boot, etcd, kube-apiserver and a source"
    return perform(what, OpenStack.booting(), play)


def play(stage: Stage) -> None:
    """Play the steps, with a network of IPv4 and IPv6.

    Raises:
        NotSeenError: One did not show what it should.
    """
    with network_of_both(stage.openstack.connect("images"), NETWORK):
        play_steps(stage)


def play_steps(stage: Stage) -> None:
    """Play the steps in their order.

    Raises:
        NotSeenError: One did not show what it should.
    """
    step("A CloudImage with bootTest, of an image whose server gets its addresses and its key")
    apply_secret(stage)
    apply(stage, "good")
    told = Told(stage)
    wait_for("the server", lambda: told.status().get("bootTest", {}).get("serverID"), SECONDS)
    stage.openstack_cli("server", "list")
    if told.condition("Ready")["status"] == "True":
        raise NotSeenError("the image is Ready before its server has said anything")
    wait_for("Booted", lambda: told.is_true("Booted"), SECONDS)
    wait_for("Ready", lambda: told.is_true("Ready"), SECONDS)
    step("What the guest said on its console, as the operator read it by Nova")
    show(told.status()["bootTest"])
    step("The image has its name now; the server and its key pair are gone")
    serving = told.status()["imageID"]
    stage.openstack_cli("image", "list")
    compute = stage.openstack.connect("images").compute
    wait_for("the end of the server", lambda: not [*compute.servers()], SECONDS)
    wait_for("the end of the key pair", lambda: not [*compute.keypairs()], SECONDS)
    stage.openstack_cli("server", "list")
    step("A new build does not boot: its kernel panics. The image of before stays in use")
    apply(stage, "panics")
    failed = wait_for("the failure", lambda: told.failure("Booted"), SECONDS)
    if "Kernel panic" not in failed:
        raise NotSeenError("the message does not have the console's last lines")
    wait_for("Ready", lambda: told.is_true("Ready"), SECONDS)
    if told.status()["imageID"] != serving:
        raise NotSeenError("another image is in use")
    stage.kubectl("get", "cloudimages")
    stage.kubectl("get", "events", "--sort-by=.metadata.creationTimestamp")
    step("The CloudImage is deleted, and all of it goes")
    stage.kubectl("delete", "cloudimage", NAME, "--timeout=120s")
    wait_for("the end of the servers", lambda: not [*compute.servers()], SECONDS)


def apply(stage: Stage, guest: str) -> None:
    """Serve a guest's image, and apply the sample with a boot test and its address."""
    image = guest_qcow2(guest)
    stage.sources.put(f"{guest}.qcow2", image)
    manifest = yaml.safe_load(SAMPLE.read_text())
    source = {"url": stage.sources.url(f"{guest}.qcow2"), "checksum": {"sha256": sha256_of(image)}}
    manifest["spec"]["source"] = {"http": source}
    manifest["spec"]["bootTest"] = {
        "flavor": FLAVOR,
        "networks": [{"name": NETWORK}],
        "expect": {"ipv4": True, "ipv6": True, "consoleMatches": "login:", "within": "4m"},
    }
    text = yaml.safe_dump(manifest, sort_keys=False)
    console.print(text.rstrip(), markup=False)
    stage.kubectl("apply", "-f", "-", stdin=text)


class Told:
    """Reads the CloudImage, and prints what its conditions say each time that this is new."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._begin = time.monotonic()
        self._printed: dict[str, str] = {}

    def status(self) -> dict[str, Any]:
        """Return the status, when what is new in it has been printed."""
        status: dict[str, Any] = (self._stage.cloudimage() or {}).get("status") or {}
        conditions = {each["type"]: each for each in status.get("conditions", ())}
        for name in _SHOWN:
            each = conditions.get(name)
            line = f"{name}={each['status']} {each['reason']}: {each['message']}" if each else ""
            if line and self._printed.get(name) != line:
                self._printed[name] = line
                console.print(f"{time.monotonic() - self._begin:5.0f} s  {line}", markup=False)
        return status

    def condition(self, name: str) -> dict[str, Any]:
        """Return a condition; of one that is not there the status is Unknown."""
        missing = {"type": name, "status": "Unknown", "message": ""}
        found = self.status().get("conditions", ())
        return next((each for each in found if each["type"] == name), missing)

    def is_true(self, name: str) -> bool:
        """Return whether a condition is True."""
        return bool(self.condition(name)["status"] == "True")

    def failure(self, name: str) -> str | None:
        """Return the message of a condition while it is False."""
        condition = self.condition(name)
        return str(condition["message"]) if condition["status"] == "False" else None


def show(document: dict[str, Any]) -> None:
    """Print a part of the status as YAML."""
    console.print(yaml.safe_dump({"bootTest": document}, sort_keys=False).rstrip(), markup=False)


if __name__ == "__main__":
    sys.exit(main())
