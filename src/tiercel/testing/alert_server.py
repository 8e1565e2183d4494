"""An HTTP server that takes alerts, as a process of its own: it writes down what it took, and misbehaves as told.

`AlertServer` starts it; the process itself is `python -m tiercel.testing.alert_server`.
"""

import argparse
import json
import os
import socket
import ssl
import subprocess
import sys
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tiercel.errors import TiercelError
from tiercel.testing.kafka_server import free_port


@dataclass
class AlertServer:
    """As a context manager. `taken` is a file of a JSON object a request: path, headers, connection, status, body.

    `script` are statuses to answer with, one a request, then 200; words instead: hang, drip, garbage, drop, huge.
    """

    taken: Path
    script: list[str] = field(default_factory=list)
    certificate: str = ""
    client_authority: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.port = self.port or free_port()

    @property
    def url(self) -> str:
        return f"{'https' if self.certificate else 'http'}://localhost:{self.port}/alerts"

    def start(self) -> None:
        """Start it (again), and wait until it listens."""
        options = json.dumps(
            [self.port, str(self.taken), self.script, self.certificate, self.client_authority, self.headers]
        )
        self.process = subprocess.Popen([sys.executable, "-m", "tiercel.testing.alert_server", options])
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with socket.socket() as attempt:
                if not attempt.connect_ex(("127.0.0.1", self.port)):
                    return
            time.sleep(0.02)
        self.stop()
        raise TiercelError("the server of alerts did not start")

    def stop(self) -> None:
        """Kill it."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def requests(self) -> list[dict[str, Any]]:
        """All requests so far, refused ones too."""
        if not self.taken.exists():
            return []
        return [json.loads(line) for line in self.taken.read_text(encoding="utf-8").split("\n")[:-1]]

    def alerts(self) -> list[dict[str, Any]]:
        """The bodies of requests that were answered with 200."""
        return [json.loads(request["body"]) for request in self.requests() if request["status"] == 200]

    def __enter__(self) -> "AlertServer":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("options", type=json.loads)
    port, taken, script, certificate, client_authority, headers = parser.parse_args().options
    out = os.open(taken, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            act = script.pop(0) if script else "200"
            status = int(act) if act.isdigit() else 200 if act == "huge" else 0
            request = {"path": self.path, "headers": dict(self.headers), "connection": self.client_address[1]}
            os.write(out, (json.dumps(request | {"status": status, "act": act, "body": body}) + "\n").encode())
            if act == "hang":
                time.sleep(3600)
            elif act == "drip":
                for _ in range(3600):
                    self.wfile.write(b"H")
                    time.sleep(0.05)
            elif act == "garbage":
                self.wfile.write(b"\x00\xff no HTTP at all\r\n\r\n" * 100)
                self.close_connection = True
            elif act == "drop":
                self.close_connection = True
            elif act == "huge":
                self.send_response(200)
                self.send_header("Content-Length", str(1 << 40))
                self.end_headers()
                while True:
                    self.wfile.write(bytes(1 << 16))
            else:
                self._answer(status)

        def _answer(self, status: int) -> None:
            text = b"no\r\n" if status >= 300 else b""
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Nothing: the requests are written down."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def get_request(self) -> tuple[socket.socket, Any]:
            connection, address = super().get_request()
            if certificate:
                # The handshake happens at the first read, in the thread of the connection.
                return tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address
            return connection, address

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Clients that hang up are what it is for."""

    if certificate:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate)
        if client_authority:
            tls.verify_mode = ssl.CERT_REQUIRED
            tls.load_verify_locations(client_authority)
    Server(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    main()
