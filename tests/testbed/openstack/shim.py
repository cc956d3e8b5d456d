"""Serve one WSGI application of OpenStack: ``shim.py MODULE PORT THREADS [OPTION ...]``.

It runs in the services' venv. OpenStack no longer ships servers of its own. gunicorn is driven
from here and not by its own command, because Keystone and Nova parse ``sys.argv`` as if it were
theirs; Cinder is given its options that way.
"""

import importlib
import sys
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.http.unreader import SocketUnreader

# gunicorn copies all that it read ahead again for each read of the application: with its own 1 MiB
# and Glance's 64 KiB that takes 6 s of processor time for each GiB, and with 256 KiB 1 s. The
# servers that clouds have before Glance (uWSGI, mod_wsgi) do nothing like it.
SocketUnreader.max_body_chunk = 256 * 1024


class Server(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """One gunicorn worker with threads for one application."""

    def __init__(self, module: str, port: int, threads: int) -> None:
        self.module = module
        self.port = port
        self.threads = threads
        super().__init__()

    def load_config(self) -> None:
        """Set what differs from gunicorn's defaults."""
        settings = {
            "proc_name": self.module,
            "bind": f"127.0.0.1:{self.port}",
            "worker_class": "gthread",
            "threads": self.threads,
            # An image may take minutes to arrive.
            "timeout": 600,
            # A request refused before its body was read (409, 413) breaks the next on a kept one.
            "keepalive": 0,
            "graceful_timeout": 1,
            "control_socket_disable": True,
        }
        for name, value in settings.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """Return the WSGI application; called in the worker."""
        return importlib.import_module(self.module).application


if __name__ == "__main__":
    module, port, threads, *options = sys.argv[1:]
    sys.argv[1:] = options
    Server(module, int(port), int(threads)).run()
