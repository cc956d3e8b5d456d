# ruff: noqa: E402 - Nova must patch the standard library before anything else of it is imported
"""Nova in one process: API, conductor, scheduler, compute; ``nova_aio.py CONFIG_FOLDER PORT``.

It runs in the services' venv. Their messages stay in the process (``fake://``), so no broker is
needed. The hypervisor is libvirt where the configuration says so. Else no server ever boots: it is
Nova's fake one, which here at least moves the bytes of images, so that tests can compare what Nova
fetched with what was published.
"""

from nova import monkey_patch

monkey_patch.patch(backend="threading")

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import nova.conf
import nova.privsep.fs
import os_brick
import os_brick.privileged
import os_vif
from cheroot import wsgi
from nova import context, service
from nova.api.openstack import wsgi_app
from nova.compute import rpcapi as compute
from nova.conductor import rpcapi as conductor
from nova.image import glance
from nova.objects import host_mapping
from nova.scheduler import rpcapi as scheduler
from nova.virt import fake, node

FAKE_DRIVER = "fake.ByteDriver"


class ByteDriver(fake.FakeDriver):  # type: ignore[misc]  # Nova has no types
    """The fake driver, but a server's disk is a file with the bytes of its image."""

    def get_nodenames_by_uuid(self, refresh: bool = False) -> dict[str, str]:  # noqa: FBT002, ARG002 - Nova's signature
        """Return the node under a lasting identity; the fake driver's is new in each process."""
        return {node.get_local_node_uuid(): self.get_available_nodes()[0]}

    def get_available_resource(self, nodename: str) -> dict[str, Any]:
        """Return the fake resources under the lasting identity."""
        resources: dict[str, Any] = super().get_available_resource(nodename)
        return resources | {"uuid": node.get_local_node_uuid()}

    def spawn(self, ctxt: Any, instance: Any, *args: Any, **kwargs: Any) -> None:
        """Download the image before the server becomes active."""
        if instance.image_ref:
            glance.API().download(ctxt, instance.image_ref, dest_path=str(_disk(instance)))
        super().spawn(ctxt, instance, *args, **kwargs)

    def snapshot(self, ctxt: Any, instance: Any, image_id: str, *args: Any) -> None:
        """Upload the disk as the snapshot's image."""
        super().snapshot(ctxt, instance, image_id, *args)
        disk_format = instance.system_metadata.get("image_disk_format", "raw")
        formats = {"disk_format": disk_format, "container_format": "bare"}
        with _disk(instance).open("rb") as disk:
            glance.API().update(ctxt, image_id, formats, disk)

    def destroy(self, ctxt: Any, instance: Any, *args: Any, **kwargs: Any) -> None:
        """Remove the disk with the server."""
        super().destroy(ctxt, instance, *args, **kwargs)
        _disk(instance).unlink(missing_ok=True)


def _disk(instance: Any) -> Path:
    return Path(nova.conf.CONF.state_path, "instances", instance.uuid)


def prepare_libvirt() -> None:
    """Do what nova-compute's own command does before its service, and spare the rights of root."""
    os_brick.setup(nova.conf.CONF)
    os_vif.initialize()
    # The bed whose servers boot is run by root: no helper is needed to act as root.
    for rights in (nova.privsep.sys_admin_pctxt, os_brick.privileged.default):
        rights.set_client_mode(False)
    # Nova reads consoles' terminals, the first of which becomes its own: its end would end Nova.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    # Cinder's files are in a folder of this machine.
    nova.privsep.fs.mount = lambda *_: None


def start_services() -> None:
    """Start all but the API, and map the compute service into its cell."""
    # Nova loads drivers from its own package only.
    fake.ByteDriver = ByteDriver
    if nova.conf.CONF.compute_driver != FAKE_DRIVER:
        prepare_libvirt()
    topics = {
        "nova-conductor": (conductor.RPC_TOPIC, None),
        "nova-scheduler": (scheduler.RPC_TOPIC, None),
        "nova-compute": (compute.RPC_TOPIC, compute.RPC_TOPIC_ALT),
    }
    for binary, (topic, alternative) in topics.items():
        service.Service.create(binary=binary, topic=topic, topic_alt=alternative).start()
    host_mapping.discover_hosts(context.get_admin_context())


def no_network(
    environ: dict[str, Any], start_response: Callable[[str, list[tuple[str, str]]], object]
) -> Iterable[bytes]:
    """Play Neutron: Nova asks it for ports and groups of servers without a network too."""
    collection = environ["PATH_INFO"].rstrip("/").rsplit("/", 1)[-1].removesuffix(".json")
    body = json.dumps({collection.replace("-", "_"): []}).encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    start_response("200 OK", headers)
    return [body]


def main(etc: str, port: int) -> None:
    """Run until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    os.environ["OS_NOVA_CONFIG_DIR"] = etc
    files = [str(Path(etc, name)) for name in wsgi_app.CONFIG_FILES]
    wsgi_app.init_global_data(files, "nova", "nova-aio")
    start_services()
    api = wsgi_app.init_application("osapi_compute", "nova-api-os-compute")
    paths = wsgi.PathInfoDispatcher({"/neutron": no_network, "/": api})
    # Nova asks the Neutron above while it answers: too few threads could all wait for one more.
    server = wsgi.Server(("127.0.0.1", port), paths, numthreads=32)
    server.keep_alive_conn_limit = 500
    threading.Thread(target=server.safe_start, daemon=True).start()
    threading.Event().wait()


if __name__ == "__main__":
    config_folder, api_port = sys.argv[1:]
    # Nova parses the command line as if it were its own.
    del sys.argv[1:]
    main(config_folder, int(api_port))
