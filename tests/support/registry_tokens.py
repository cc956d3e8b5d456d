"""A server that makes tokens for a registry, as its operators run one beside it.

The tokens are what Distribution checks:
https://distribution.github.io/distribution/spec/auth/jwt/
"""

import base64
import json
import secrets
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from testbed.kubernetes.certificates import Authority
from testbed.registry import PASSWORD, USERNAME

SERVICE = "testbed-registry"
ISSUER = "testbed-tokens"
REFRESH_TOKEN = "sesame-refresh"


@dataclass
class Tokens:
    """The server.

    Attributes:
        seconds: That a token lasts.
        asked: Of each request, its method and what it asked for.
        shown: Of each request, its ``Authorization``; "" without one.
    """

    folder: Path
    authority: Authority
    seconds: int = 60
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    url: str = ""

    def auth(self) -> dict[str, Any]:
        """Return the member ``auth`` of a registry's configuration."""
        return {
            "token": {
                "realm": f"{self.url}/token",
                "service": SERVICE,
                "issuer": ISSUER,
                "rootcertbundle": f"{self.folder}/signer.crt",
                "signingalgorithms": ["ES256"],
            }
        }

    def answer(self, method: str, wanted: dict[str, str], shown: str) -> tuple[int, dict[str, Any]]:
        """Return the status and the body of an answer."""
        self.asked.append((method, wanted))
        self.shown.append(shown)
        pair = base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()
        right = shown == f"Basic {pair}"
        if method == "POST":
            right = wanted.get("refresh_token") == REFRESH_TOKEN
        if not right:
            return 401, {"errors": [{"code": "UNAUTHORIZED", "message": "access denied"}]}
        return 200, {"token": self._token(wanted["scope"]), "expires_in": self.seconds}

    def _token(self, scope: str) -> str:
        kind, name, actions = scope.split(":")
        now = int(time.time())
        # Distribution forgives a minute.
        claims = {
            "iss": ISSUER,
            "sub": USERNAME,
            "aud": SERVICE,
            "exp": now + self.seconds - 60,
            "nbf": now - 300,
            "iat": now - 300,
            "jti": secrets.token_hex(8),
            "access": [{"type": kind, "name": name, "actions": actions.split(",")}],
        }
        chain = (self.folder / "signer.crt").read_text().split("-----")[2].split()
        head = {"typ": "JWT", "alg": "ES256", "x5c": ["".join(chain)]}
        text = ".".join(_encoded(json.dumps(each).encode()) for each in (head, claims))
        content = (self.folder / "signer.key").read_bytes()
        key = serialization.load_pem_private_key(content, None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        pair = utils.decode_dss_signature(key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{text}.{_encoded(b''.join(each.to_bytes(32) for each in pair))}"


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


@contextmanager
def tokens(folder: Path, authority: Authority) -> Iterator[Tokens]:
    """Run the server beside the block, by TLS of an authority."""
    folder.mkdir()
    server = Tokens(folder, authority)
    for name in ("signer", "server"):
        authority.issue_server(folder / name)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._give(dict(parse_qsl(urlsplit(self.path).query)))

        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            self._give(dict(parse_qsl(self.rfile.read(length).decode())))

        def _give(self, wanted: dict[str, str]) -> None:
            shown = self.headers.get("Authorization", "")
            status, body = server.answer(self.command, wanted, shown)
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(folder / "server.crt", folder / "server.key")
        listening.socket = context.wrap_socket(listening.socket, server_side=True)
        server.url = f"https://127.0.0.1:{listening.server_port}"
        thread = threading.Thread(target=listening.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            listening.shutdown()
            thread.join()
