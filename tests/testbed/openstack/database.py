"""A private PostgreSQL on a unix socket: several clients at once, which SQLite locks out."""

import contextlib
import os
import shutil
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

from testbed.commands import CommandError, run
from testbed.openstack.site import Site
from testbed.process import Service, kill, survivors

_SETTINGS = {
    "listen_addresses": "",
    "max_connections": "300",
    "shared_buffers": "64MB",
    # Nothing needs to survive a crash of the machine. A crash of the server must lose nothing,
    # so commits still wait until the kernel has their WAL (synchronous_commit stays on).
    "fsync": "off",
    "full_page_writes": "off",
    # Old WAL files are removed, which keeps the packed directory small.
    "wal_recycle": "off",
}


def programs() -> Path:
    """Return the folder of PostgreSQL's server programs, which Debian keeps off PATH."""
    versions = Path("/usr/lib/postgresql").glob("*/bin/postgres")
    newest = max(versions, key=lambda path: float(path.parts[-3]), default=None)
    found = newest or shutil.which("postgres")
    if found is None:
        raise RuntimeError("PostgreSQL's server is missing: apt-get install postgresql")
    return Path(found).resolve().parent


@dataclass(frozen=True)
class Database:
    """The PostgreSQL server of one bed."""

    site: Site

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.site.sockets / "data"

    @property
    def url(self) -> str:
        """Where ``psql`` finds it."""
        return f"postgresql:///?host={self.site.sockets}&user=postgres"

    @property
    def service(self) -> Service:
        """The server as a process."""
        return Service("postgresql", self.site.folder)

    def create(self, databases: Iterable[str]) -> None:
        """Make a new data directory with empty databases, and start the server."""
        self._make_folder()
        options = ("-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
        run(*_as_postgres("initdb", "-D", self.data, *options))
        self.start()
        for name in databases:
            self.sql(f"CREATE DATABASE {name}")

    def pack(self, archive: Path) -> None:
        """Keep the stopped server's data directory."""
        run("tar", "-cf", archive, "-C", self.data.parent, self.data.name)

    def unpack(self, archive: Path) -> None:
        """Take a packed data directory as ours; ``tar`` keeps owner and mode."""
        self._make_folder()
        run("tar", "-xf", archive, "-C", self.data.parent)

    def start(self) -> None:
        """Start the server unless it runs, also after it was killed."""
        if self.service.process() is not None:
            return
        self._clear()
        settings = _SETTINGS | {"unix_socket_directories": str(self.site.sockets)}
        options = [word for item in settings.items() for word in ("-c", "=".join(item))]
        self.service.start(_as_postgres("postgres", "-D", self.data, *options))
        self.service.wait(self._accepts)

    def stop(self) -> None:
        """Stop the server, its clients cut off; SIGTERM alone would wait for them to leave."""
        process = self.service.process()
        if process is not None:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGINT)
            survivors([process])
        self.service.stop()
        self._clear()

    def sql(self, statement: str) -> None:
        """Run one statement as the superuser."""
        run(programs() / "psql", "-q", "-d", self.url, "-c", statement)

    def _accepts(self) -> bool:
        try:
            run(programs() / "pg_isready", "-q", "-h", self.site.sockets)
        except CommandError:
            return False
        return True

    def _make_folder(self) -> None:
        self.site.sockets.mkdir(parents=True)
        if os.geteuid() == 0:
            shutil.chown(self.site.sockets, "postgres", "postgres")

    def _clear(self) -> None:
        """Remove what a killed server leaves: its children, in sessions of their own, and locks.

        A lock whose pid was given to another process would keep the next server from starting.
        """
        kill([each for each in psutil.process_iter() if _works_in(each, self.data)])
        for lock in (self.data / "postmaster.pid", *self.site.sockets.glob(".s.PGSQL.*")):
            lock.unlink(missing_ok=True)


def _as_postgres(program: str, *arguments: str | Path) -> list[str]:
    """Return a command line that drops root, which PostgreSQL refuses to run as."""
    words = [str(programs() / program), *map(str, arguments)]
    if os.geteuid() != 0:
        return words
    drop = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"]
    # The caller's folder may be closed to the user postgres.
    return [*drop, "env", "--chdir=/", *words]


def _works_in(process: psutil.Process, folder: Path) -> bool:
    try:
        # The kernel marks the name of a folder that was deleted under a process.
        where = process.cwd().removesuffix(" (deleted)")
        return process.name() == "postgres" and where == str(folder.resolve())
    except psutil.Error:
        return False
