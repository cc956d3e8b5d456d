# ruff: noqa: E402 - Cinder must choose its kind of threads before anything else of it is imported
"""Cinder in one process: API, scheduler, volume service; ``cinder_aio.py CONFIG_FILE PORT``.

It runs in the services' venv. Their messages stay in the process (``fake://``), so no broker is
needed. Volumes are files of Cinder's own NFS driver, moved by ``qemu-img`` as in a real cloud:
made from images, uploaded, taken snapshots of. All that is not real is the mount: the share is a
folder of the bed, because this needs no right of root and no module of the kernel.
"""

from cinder import monkey_patch

monkey_patch.patch(backend="threading")

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import os_brick
from cheroot import wsgi
from cinder import privsep, service, utils
from cinder.common import constants
from cinder.image import image_utils
from cinder.volume.drivers import nfs
from cinder.wsgi import wsgi as api
from oslo_config import cfg

ANSWERING_THREADS = 8


class FolderDriver(nfs.NfsDriver):  # type: ignore[misc]  # Cinder has no types
    """The NFS driver, but the mount point of its share is a folder and nothing is mounted."""

    def do_setup(self, context: Any) -> None:
        """Set up without looking for the program that mounts."""
        super(nfs.NfsDriver, self).do_setup(context)
        self.shares: dict[str, str | None] = {}
        self.set_nas_security_options(self._is_voldb_empty_at_startup)

    def _ensure_share_mounted(self, share: str) -> None:
        Path(self._get_mount_point_for_share(share)).mkdir(parents=True, exist_ok=True)


class IdleFolderDriver(FolderDriver):
    """The same under servers that never boot."""

    def _is_volume_attached(self, volume: Any) -> bool:  # noqa: ARG002 - Cinder's signature
        """Let snapshots be taken without Nova's help: its fake hypervisor holds no file open."""
        return False


def start_services() -> None:
    """Start all but the API."""
    # Whoever runs the bed owns its files: what Cinder asks root for needs no right of root here.
    utils.get_root_helper = lambda: "env"
    privsep.sys_admin_pctxt.set_client_mode(False)
    # A left-over of Cinder's green threads, which waits forever in any native thread but the first.
    image_utils.tpool.Proxy = lambda file: file
    # A class that a configuration names is imported, and this program is no module there.
    nfs.FolderDriver = FolderDriver
    nfs.IdleFolderDriver = IdleFolderDriver
    os_brick.setup(cfg.CONF)
    for backend in cfg.CONF.enabled_backends:
        service.Service.create(
            host=f"{cfg.CONF.host}@{backend}",
            service_name=backend,
            binary=constants.VOLUME_BINARY,
            coordination=True,
        ).start()
    service.Service.create(binary=constants.SCHEDULER_BINARY).start()


def main(port: int) -> None:
    """Run until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    application = api.initialize_application()
    start_services()
    server = wsgi.Server(("127.0.0.1", port), application, numthreads=ANSWERING_THREADS)
    server.keep_alive_conn_limit = 500
    threading.Thread(target=server.safe_start, daemon=True).start()
    threading.Event().wait()


if __name__ == "__main__":
    config_file, api_port = sys.argv[1:]
    # Cinder parses the command line as if it were its own.
    sys.argv[1:] = ["--config-file", config_file]
    main(int(api_port))
