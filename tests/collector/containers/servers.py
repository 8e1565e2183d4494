"""Servers on Unix sockets: an API of Docker that behaves, and raw ones that do not."""

import http.server
import json
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ID = "27794335214c55a9f43dff8b00c77c22166ca97c4d9dfb6744818a0c3ecdb299"
INSPECTION: dict[str, Any] = {
    "Id": ID,
    "Created": "2026-01-02T03:04:05.123456789Z",
    "Name": "/web",
    "Image": "sha256:" + "ab" * 32,
    "Config": {"Image": "reg:5000/shop/web:1.2", "User": "www", "Labels": {"app": "web"}, "Env": ["SECRET=x"]},
    "HostConfig": {"Privileged": True, "PidMode": "host", "NetworkMode": "bridge", "IpcMode": "private"},
    "Mounts": [{"Source": "/etc", "Destination": "/mnt", "Mode": "ro", "RW": False, "Propagation": "rprivate"}],
    "NetworkSettings": {
        "IPAddress": "",
        "Networks": {"bridge": {"IPAddress": "172.17.0.2"}},
        "Ports": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}], "81/tcp": None},
    },
}
IMAGE = {"RepoTags": ["reg:5000/shop/web:1.2"], "RepoDigests": ["reg:5000/shop/web@sha256:" + "cd" * 32]}

Answers = dict[str, Any]


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False


@contextmanager
def _serving(path: Path, handler: type[socketserver.BaseRequestHandler]) -> Iterator[None]:
    server = _Server(str(path), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        path.unlink()


@contextmanager
def api(path: Path, answers: Answers) -> Iterator[list[str]]:
    """An HTTP server that gives these answers by path, 404 for others; yields the paths asked for."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def address_string(self) -> str:
            return "unix"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            asked.append(self.path)
            body = json.dumps(answers.get(self.path, {"message": "no such container"})).encode()
            self.send_response(200 if self.path in answers else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with _serving(path, Handler):
        yield asked


def docker(container: dict[str, Any] = INSPECTION, *, running: bool = True) -> Answers:
    """Answers of a Docker that has one container."""
    return {
        "/containers/json": [{"Id": container["Id"]}] if running else [],
        f"/containers/{container['Id']}/json": container,
        f"/images/{container['Image']}/json": IMAGE,
    }


@contextmanager
def raw(path: Path, speak: Callable[[socket.socket], None]) -> Iterator[None]:
    """A server that does with each connection what it likes."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            try:
                self.request.recv(4096)
                speak(self.request)
            except OSError:
                pass

    with _serving(path, Handler):
        yield
