"""A Keystone that does harm, on loopback; the first part of a path chooses how.

What a real Keystone cannot be made to show: words that move a terminal's cursor, answers that never
end.
"""

import http.server
import json
import threading
import time
from typing import Any, Self

WORDS = (
    "\x1b[2J\x1b[31mRED\x1b]0;title\x07\r\nReady: True\r\n\u202egnp.\u009b2J \x00 \u200b\u2028 end"
)
_DRIP_SECONDS = 5.0


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Name the versions, or drip."""
        if self._mode() == "drip":
            self._drip()
            return
        url = f"http://{self.headers['Host']}/{self._mode()}/v3"
        links = [{"rel": "self", "href": url}]
        self._answer(200, {"version": {"id": "v3.14", "status": "stable", "links": links}})

    def do_POST(self) -> None:
        """Refuse the login, in words of harm."""
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._answer(401, {"error": {"message": WORDS, "code": 401, "title": "Unauthorized"}})

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its base's name
        """Keep quiet."""

    def _mode(self) -> str:
        return self.path.split("/")[1]

    def _answer(self, status: int, body: Any) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _drip(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "100000")
        self.end_headers()
        try:
            while True:
                self.wfile.write(b" ")
                time.sleep(_DRIP_SECONDS)
        except OSError:
            self.close_connection = True


class StrangeCloud:
    """The server, running while it is entered."""

    def __enter__(self) -> Self:
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def cloud(self, mode: str) -> dict[str, Any]:
        """Return an entry of clouds.yaml that logs in here.

        Args:
            mode: ``words``, or ``drip`` for an answer of a byte in five seconds.
        """
        auth = {
            "auth_url": f"http://127.0.0.1:{self._server.server_port}/{mode}/v3",
            "username": "u",
            "password": "p",
            "project_name": "p",
            "user_domain_name": "Default",
            "project_domain_name": "Default",
        }
        return {"auth": auth, "region_name": "RegionOne"}
