"""Versity's S3 gateway over a folder as a part of the test bed."""

import functools
import json
import shutil
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from testbed.commands import run
from testbed.kubernetes import binaries
from testbed.kubernetes.certificates import Authority
from testbed.openstack import venv
from testbed.paths import state_dir
from testbed.process import Service, bed_lock, free_ports

REGION: Final = "eu-test-1"
_PROGRAM: Final = "versitygw"
_HOST: Final = "127.0.0.1"


@dataclass(frozen=True)
class Key:
    """An access key of the server."""

    id: str
    secret: str


OWNER: Final = Key("AKTESTBEDOWNER", "the+owner/s=secret")
"""May do everything."""
STRANGER: Final = Key("AKTESTBEDSTRANGER", "the-strangers-secret")
"""May log in, and has no right to any bucket."""


def _default_state() -> Path:
    return state_dir() / "buckets"


@dataclass(frozen=True)
class Buckets:
    """An S3 server with versions, users, checksums, uploads in parts, and both styles of address.

    Attributes:
        state: All its state; `down` deletes it. The file system must have extended attributes.
    """

    state: Path = field(default_factory=_default_state)

    def install(self) -> None:
        """Build the server, and install its client."""
        binaries.ensure(_PROGRAM)
        venv.install()

    def up(self) -> None:
        """Start the server unless it runs, with a user who has no rights."""
        self.install()
        with bed_lock(self.state):
            if any(service.process() is None for service in self._services):
                for folder in ("data", "versions", "users"):
                    (self.state / folder).mkdir(parents=True, exist_ok=True)
                self._ports_file.write_text(json.dumps(free_ports(2)))
                self._start()

    def down(self) -> None:
        """Stop the server and delete its buckets."""
        with bed_lock(self.state) as lock:
            for service in self._services:
                service.stop()
            shutil.rmtree(self.state, ignore_errors=True)  # it may never have been up
            Path(lock.lock_file).unlink()

    def status(self) -> list[tuple[str, int | None, str]]:
        """Say which process serves where."""
        urls = (self.endpoint, self.secure_endpoint) if self._ports_file.exists() else ("", "")
        return [
            (service.name, process.pid if (process := service.process()) else None, url)
            for service, url in zip(self._services, urls, strict=True)
        ]

    @property
    def endpoint(self) -> str:
        """Where it is, without TLS; ``<bucket>.localhost`` is there as well."""
        return f"http://{_HOST}:{self._ports[0]}"

    @property
    def secure_endpoint(self) -> str:
        """Where it is with TLS, by a certificate of :attr:`authority`."""
        return f"https://{_HOST}:{self._ports[1]}"

    @property
    def authority(self) -> Path:
        """The certificate to trust, as PEM."""
        return self.state / "ca.crt"

    def path(self, bucket: str, key: str) -> Path:
        """Return the file that is an object's current version."""
        return self.state / "data" / bucket / key

    def make(self, bucket: str, *, versions: bool = False) -> None:
        """Make a bucket."""
        self.aws("s3api", "create-bucket", "--bucket", bucket)
        if versions:
            status = ("--versioning-configuration", "Status=Enabled")
            self.aws("s3api", "put-bucket-versioning", "--bucket", bucket, *status)

    def put(self, bucket: str, key: str, path: Path, *options: str) -> dict[str, Any]:
        """Put an object, by one request, and return what the server says of it."""
        where = ("--bucket", bucket, "--key", key, "--body", str(path))
        return self.aws("s3api", "put-object", *where, *options)

    def put_in_parts(self, bucket: str, key: str, path: Path, *options: str) -> None:
        """Put an object, in parts of 8 MiB if it has more; a folder of them by ``--recursive``."""
        self.aws("s3", "cp", "--no-progress", str(path), f"s3://{bucket}/{key}", *options)

    def aws(self, *words: str) -> dict[str, Any]:
        """Run Amazon's own client as the owner, and return its answer if that is JSON.

        Raises:
            CommandError: It failed.
        """
        environment = {
            "AWS_ACCESS_KEY_ID": OWNER.id,
            "AWS_SECRET_ACCESS_KEY": OWNER.secret,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        aws = venv.location() / "bin/python", venv.location() / "bin/aws"
        answer = run(*aws, "--endpoint-url", self.endpoint, *words, env=environment)
        found: dict[str, Any] = json.loads(answer) if answer.startswith("{") else {}
        return found

    def _start(self) -> None:
        authority, certificate = Authority.new(), self.state / "server"
        authority.issue_server(certificate)
        self.authority.write_text(authority.pem)
        tls = ("--cert", f"{certificate}.crt", "--key", f"{certificate}.key")
        for service, port, options in zip(self._services, self._ports, ((), tls), strict=True):
            service.stop()
            service.start(self._command(port, options))
            service.wait(functools.partial(_listens, port))
        self._add_stranger()

    def _command(self, port: int, options: Sequence[str]) -> list[str | Path]:
        where = ("--port", f"{_HOST}:{port}", "--virtual-domain", f"localhost:{port}")
        who = ("--access", OWNER.id, "--secret", OWNER.secret, "--region", REGION)
        users = ("--iam-dir", str(self.state / "users"), "--iam-cache-disable")
        folders = ("--versioning-dir", str(self.state / "versions"), str(self.state / "data"))
        program = binaries.find(_PROGRAM)
        return [program, *where, *who, *users, *options, "--health", "/health", "posix", *folders]

    def _add_stranger(self) -> None:
        admin = ("--access", OWNER.id, "--secret", OWNER.secret, "--endpoint-url", self.endpoint)
        user = ("--access", STRANGER.id, "--secret", STRANGER.secret, "--role", "user")
        region = ("--region", REGION)
        run(binaries.find(_PROGRAM), "admin", *region, *admin, "create-user", *user)

    @property
    def _services(self) -> tuple[Service, Service]:
        return Service("buckets", self.state), Service("buckets-tls", self.state)

    @property
    def _ports(self) -> tuple[int, int]:
        first, second = json.loads(self._ports_file.read_text())
        return first, second

    @property
    def _ports_file(self) -> Path:
        return self.state / "ports"


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((_HOST, port)) == 0
