"""``make demo``: one CloudImage's life on real servers, each step seen or the exit status is 1."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any, TypeVar

import yaml
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from testbed.images import bootable_qcow2, sha256_of
from testbed.kubernetes import Kubernetes
from testbed.openstack import OpenStack
from testbed.operator import Operator, end_demo, install_crds
from testbed.paths import REPOSITORY, demo_folder, forget_state
from testbed.sources import Sources

T = TypeVar("T")

SAMPLE = REPOSITORY / "manifests" / "samples" / "quickstart.yaml"
NAME = "quickstart"
SOURCE_BYTES_PER_SECOND = 4 << 20
"""The source is slowed down to this, so that a person can watch the progress."""

# Printed whole: a wrapped line could not be copied.
console = Console(soft_wrap=True, highlight=False)


class NotSeenError(RuntimeError):
    """A step of the demo did not show what it should."""


@dataclass(frozen=True)
class Stage:
    """The servers that the demo plays on."""

    kubernetes: Kubernetes
    openstack: OpenStack
    sources: Sources
    operator: Operator

    def kubectl(self, *words: str, stdin: str | None = None, show: bool = True) -> str:
        """Run kubectl in the demo's namespace, as a user would; show the command and its output."""
        if show:
            console.print(f"[bold]$ kubectl {' '.join(words)}[/bold]")
        output = self.kubernetes.run_kubectl("-n", self.operator.namespace, *words, stdin=stdin)
        if show:
            console.print(output.rstrip(), markup=False)
        return output

    def cloudimage(self) -> dict[str, Any] | None:
        """Return the CloudImage; None when it is gone."""
        words = ("get", "cloudimage", NAME, "--ignore-not-found", "-o", "json")
        output = self.kubectl(*words, show=False)
        found: dict[str, Any] | None = json.loads(output) if output.strip() else None
        return found

    def openstack_cli(self, *words: str) -> None:
        """Run the ``openstack`` command as the project that owns the image, and show it."""
        console.print(f"[bold]$ openstack {' '.join(words)}[/bold]")
        done = subprocess.run(
            [str(self.openstack.program("openstack")), *words],
            env={
                **os.environ,
                "OS_CLIENT_CONFIG_FILE": str(self.openstack.clouds_yaml),
                "OS_CLOUD": "images",
            },
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise NotSeenError(done.stderr)
        console.print(done.stdout.rstrip(), markup=False)


def main() -> int:
    """Run the demo and return its exit status."""
    what = "etcd, kube-apiserver, Keystone, Glance, Placement, Nova and a source server"
    return perform(what, OpenStack(), play)


def perform(what: str, openstack: OpenStack, play: Callable[[Stage], None]) -> int:
    """Start the servers and the operator, play, and end them all; return the exit status.

    Args:
        what: Is started.
        openstack: One of it.
        play: Plays the steps; raises NotSeenError.
    """
    started = time.monotonic()
    parts = (Kubernetes(), openstack, Sources())
    operator: Operator | None = None
    try:
        step(f"Starting {what}")
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda part: part.up(), parts))
        operator = prepare(parts[0])
        play(Stage(*parts, operator))
    except (NotSeenError, RuntimeError) as error:
        console.print(f"[red]The demo failed:[/red] {error}", markup=True)
        if operator is not None:
            console.print(operator.service.tail(), markup=False)
        return 1
    finally:
        leave(operator, parts)
    console.print(f"[green]All steps seen in {time.monotonic() - started:.0f} s.[/green]")
    return 0


def step(text: str) -> None:
    """Say what comes now."""
    console.print(f"\n[cyan]== {text}[/cyan]")


def prepare(kubernetes: Kubernetes) -> Operator:
    """Install the CRDs and the chart's rights, and start the operator under them."""
    step("Installing the CRDs and the chart's ServiceAccount and Role; starting the operator")
    install_crds(kubernetes)
    operator = Operator(kubernetes, kubernetes.new_namespace("demo"), demo_folder())
    operator.stop()  # one that an earlier demo left with KEEP=1 manages another namespace
    operator.install()
    operator.start()
    return operator


def play(stage: Stage) -> None:
    """Play the steps in their order.

    Raises:
        NotSeenError: One did not show what it should.
    """
    step("A Secret with clouds.yaml, and the CloudImage of manifests/samples/quickstart.yaml")
    apply_secret(stage)
    apply_quickstart(stage, bootable_qcow2())
    image_id = watch_until_ready(stage)
    step("Ready")
    stage.kubectl("wait", "--for=condition=Ready", f"cloudimage/{NAME}", "--timeout=10s")
    stage.kubectl("get", "cloudimages")
    stage.openstack_cli("image", "show", "--max-width=100", image_id)
    step("A server boots from it; meanwhile kubectl delete has to wait")
    server_id = boot(stage, image_id)
    stage.kubectl("delete", "cloudimage", NAME, "--wait=false")
    message = wait_for("DeletionBlocked", lambda: blocked_message(stage), 60)
    console.print(f"DeletionBlocked: {message}", markup=False)
    if server_id not in message:
        raise NotSeenError("the message does not name the server")
    step("The server is deleted, and then the image and the CloudImage go")
    delete_server(stage, server_id)
    wait_for("the end of the CloudImage", lambda: stage.cloudimage() is None, 30)
    stage.kubectl("get", "events", "--sort-by=.metadata.creationTimestamp")
    connection = stage.openstack.connect("images")
    if connection.image.get(f"/images/{image_id}").status_code != 404:  # HTTP's
        raise NotSeenError("the image is still in Glance")
    console.print("The image is gone from Glance.")


def apply_secret(stage: Stage) -> None:
    """Create the Secret, with the application credential of one project only."""
    clouds = {"clouds": {"images": stage.openstack.cloud("images")}}
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "openstack"},
        "stringData": {"clouds.yaml": yaml.safe_dump(clouds)},
    }
    stage.kubectl("apply", "-f", "-", stdin=json.dumps(secret))


def apply_quickstart(stage: Stage, image: Path) -> None:
    """Serve the image and apply the sample with its address and its SHA-256."""
    stage.sources.put(f"{NAME}.qcow2", image)
    manifest = Template(SAMPLE.read_text()).substitute(
        SOURCE_URL=stage.sources.url(f"{NAME}.qcow2", rate=SOURCE_BYTES_PER_SECOND),
        SOURCE_SHA256=sha256_of(image),
    )
    console.print(manifest[manifest.index("apiVersion") :].rstrip(), markup=False)
    stage.kubectl("apply", "-f", "-", stdin=manifest)


def watch_until_ready(stage: Stage) -> str:
    """Show the progress live until the CloudImage is Ready; return the image's id."""
    columns = (TextColumn("{task.description:<12}"), BarColumn(), TextColumn("{task.fields[told]}"))
    with Progress(*columns, console=console) as bars:
        tasks: dict[str, TaskID] = {}

        def ready() -> str | None:
            status = (stage.cloudimage() or {}).get("status", {})
            conditions = {each["type"]: each for each in status.get("conditions", ())}
            if "Stalled" in conditions:
                raise NotSeenError(conditions["Stalled"]["message"])
            show_progress(bars, tasks, status.get("progress"))
            is_ready = conditions.get("Ready", {}).get("status") == "True"
            return status["imageID"] if is_ready else None

        return wait_for("Ready", ready, 120)


def show_progress(
    bars: Progress, tasks: dict[str, TaskID], progress: dict[str, Any] | None
) -> None:
    """Draw a bar for each stage of ``status.progress``; those that are over are full."""
    if progress is None:
        return
    name, total = progress["stage"], progress.get("totalBytes")
    if name not in tasks:
        for earlier in tasks.values():
            bars.update(earlier, total=1, completed=1)
        tasks[name] = bars.add_task(name, told="")
    done, rate = progress.get("transferredBytes", 0), progress.get("bytesPerSecond", 0)
    if total:
        told = f"{done >> 20} of {total >> 20} MiB, {rate >> 20} MiB/s"
        bars.update(tasks[name], total=total, completed=done, told=told)
    else:
        bars.update(tasks[name], total=1, completed=int(name == "Complete"))


def boot(stage: Stage, image_id: str) -> str:
    """Boot a server from the image and return its id."""
    compute = stage.openstack.connect("images").compute
    flavor = compute.find_flavor("m1.tiny", ignore_missing=False)
    server = compute.create_server(
        name="demo", image_id=image_id, flavor_id=flavor.id, networks="none"
    )
    compute.wait_for_server(server, interval=0.5, wait=60)
    stage.openstack_cli("server", "list")
    return str(server.id)


def delete_server(stage: Stage, server_id: str) -> None:
    """Delete the server and wait until it is gone."""
    compute = stage.openstack.connect("images").compute
    compute.delete_server(server_id)
    wait_for("the end of the server", lambda: compute.find_server(server_id) is None, 60)


def blocked_message(stage: Stage) -> str | None:
    """Return the message of DeletionBlocked while it is True."""
    conditions = ((stage.cloudimage() or {}).get("status") or {}).get("conditions", ())
    for each in conditions:
        if each["type"] == "DeletionBlocked" and each["status"] == "True":
            return str(each["message"])
    return None


def wait_for(what: str, seen: Callable[[], T | None], seconds: float) -> T:
    """Wait until ``seen()`` returns something true, and return that.

    Raises:
        NotSeenError: It did not in time.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := seen():
            return value
        time.sleep(0.5)
    raise NotSeenError(f"{what} was not seen within {seconds:g} s")


def leave(operator: Operator | None, parts: tuple[Kubernetes, OpenStack, Sources]) -> None:
    """Stop everything, or with KEEP=1 say where it is."""
    if os.environ.get("KEEP") == "1" and operator is not None:
        kubernetes, openstack, _ = parts
        step("KEEP=1: all of it stays up; `make testbed-down` ends it")
        console.print(f"export KUBECONFIG={kubernetes.kubeconfig}", markup=False)
        console.print(f"export OS_CLIENT_CONFIG_FILE={openstack.clouds_yaml} OS_CLOUD=images")
        console.print(f"{kubernetes.kubectl} -n {operator.namespace} get cloudimages", markup=False)
        return
    end_demo()
    for part in parts:
        part.down()
    forget_state()


if __name__ == "__main__":
    sys.exit(main())
