"""A real registry, CNCF Distribution's, on loopback, and the clients that push to it."""

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import requests

from testbed.commands import run
from testbed.kubernetes import binaries
from testbed.kubernetes.certificates import Authority
from testbed.process import Service, free_ports

USERNAME = "puller"
PASSWORD = "sesame-open"
_BCRYPT = "$2b$05$gj9GdM7rmK9YWfCuHs7XQeEYpkN3DyRXCCBiDCKRs0uJVsnzqclRW"
"""Of the password; Distribution takes no other hash."""


def entry() -> dict[str, str]:
    """Return what ``docker login`` writes of the user."""
    pair = f"{USERNAME}:{PASSWORD}"
    return {"auth": base64.b64encode(pair.encode()).decode()}


@dataclass
class Registry:
    """One registry; it ends with the block.

    Attributes:
        folder: For its blobs, keys and log.
        auth: The member ``auth`` of its configuration; None: anybody may do anything.
        secure: Whether it has TLS.
        environment: Of its clients.
    """

    folder: Path
    auth: Mapping[str, Any] | None = None
    secure: bool = True
    authority: Authority = field(default_factory=Authority.new)
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        self.host = f"127.0.0.1:{free_ports(1)[0]}"
        self.url = f"{'https' if self.secure else 'http'}://{self.host}"
        self.programs = binaries.ensure("registry", "oras", "crane")

    @classmethod
    @contextmanager
    def with_password(cls, folder: Path) -> Iterator["Registry"]:
        """Start one that wants the user's password, by Basic."""
        passwords = folder.with_name(f"{folder.name}-htpasswd")
        passwords.write_text(f"{USERNAME}:{_BCRYPT}\n")
        with cls(folder, {"htpasswd": {"realm": "testbed", "path": str(passwords)}}) as registry:
            yield registry

    def __enter__(self) -> Self:
        (self.folder / "ca.crt").write_text(self.authority.pem)
        self.authority.issue_server(self.folder / "server")
        config = self.folder / "config.json"  # which is YAML too
        config.write_text(json.dumps(self._config()))
        self._login()
        command: list[str | Path] = [self.programs["registry"], "serve", config]
        self._service.start(command, {"OTEL_TRACES_EXPORTER": "none"})
        self._service.wait(self._answers)
        return self

    def __exit__(self, *_: object) -> None:
        self._service.stop()

    @property
    def ca(self) -> str:
        """PEM text that verifies it."""
        return self.authority.pem

    def docker_config(self, **login: str) -> str:
        """Return a pull Secret's text for it."""
        return json.dumps({"auths": {self.host: login or entry()}})

    def crane(self, *words: str | Path) -> str:
        """Run go-containerregistry's client."""
        return run(self.programs["crane"], *words, env=self.environment)

    def oras(self, folder: Path, command: str, *words: str | Path) -> str:
        """Run a command of ORAS, which names files as they lie in ``folder``."""
        plain = () if self.secure else ("--plain-http",)
        called = (self.programs["oras"], command, *plain, *words)
        return run("env", "-C", folder, *called, env=self.environment)

    def name(self, repository: str) -> str:
        """Return the name of an image here."""
        return f"{self.host}/{repository}"

    def log(self) -> str:
        """Return what it has logged."""
        return self._service.log.read_text()

    @property
    def _service(self) -> Service:
        return Service("registry", self.folder)

    def _config(self) -> dict[str, Any]:
        tls = {"certificate": f"{self.folder}/server.crt", "key": f"{self.folder}/server.key"}
        return {
            "version": "0.1",
            "log": {"level": "info", "accesslog": {"disabled": False}},
            "storage": {
                "filesystem": {"rootdirectory": str(self.folder / "blobs")},
                "delete": {"enabled": True},
            },
            "http": {"addr": self.host, **({"tls": tls} if self.secure else {})},
            **({"auth": self.auth} if self.auth else {}),
        }

    def _login(self) -> None:
        home = self.folder / "docker"
        home.mkdir()
        (home / "config.json").write_text(self.docker_config())
        self.environment |= {
            "DOCKER_CONFIG": str(home),
            "SSL_CERT_FILE": str(self.folder / "ca.crt"),
        }

    def _answers(self) -> bool:
        with requests.Session() as session:
            session.trust_env = False  # a proxy of the environment is not for loopback
            try:
                answer = session.get(
                    f"{self.url}/v2/", verify=str(self.folder / "ca.crt"), timeout=2
                )
            except requests.ConnectionError:
                return False
            return answer.status_code in {200, 401}
