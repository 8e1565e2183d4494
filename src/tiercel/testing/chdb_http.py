"""A process that exposes a chDB directory through ClickHouse's HTTP interface: several clients can use one store.

Only for tests and `make cluster`: it listens on loopback and knows no users. `ChdbServer` starts it from a test;
`python -m tiercel.testing.chdb_http DIR [PORT [HOST]]` prints `listening on PORT` when it is ready. It fails as it is
told to (faults.py).
"""

import gzip
import json
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any

import chdb
import lz4.frame
import zstandard

from tiercel.testing.faults import TEXTS, Fault, Faults

_INSERT = re.compile(rb"\s*(INSERT\s+INTO\s+.*?)\s+FORMAT\s+(\w+)[ \t]*\n", re.IGNORECASE | re.DOTALL)
_FORMAT = re.compile(rb"\bFORMAT\s+(\w+)\s*;?\s*$", re.IGNORECASE)
_CODE = re.compile(r"Code: (\d+)")
# Query parameters that are for the transport, not settings of the engine.
_TRANSPORT = {
    *("query", "database", "query_id", "session_id", "default_format", "compress", "decompress", "buffer_size"),
    *("client_protocol_version", "enable_http_compression", "wait_end_of_query", "send_progress_in_http_headers"),
    *("http_headers_progress_interval_ms", "user", "password", "session_timeout", "session_check", "quota_key", "role"),
}


def _decompress(data: bytes, encoding: str) -> bytes:
    if encoding == "lz4":
        return bytes(lz4.frame.decompress(data))
    if encoding == "zstd":
        return zstandard.ZstdDecompressor().decompressobj().decompress(data)
    return gzip.decompress(data) if encoding == "gzip" else data


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


class _Handler(BaseHTTPRequestHandler):
    """One connection: a thread and a chDB handle of its own."""

    protocol_version = "HTTP/1.1"
    path_of_store = ""
    faults = Faults()

    def setup(self) -> None:
        super().setup()
        # One engine a process: further handles share it, each with its own settings and database.
        self.engine: Any = chdb.connect(self.path_of_store)  # type: ignore[no-untyped-call]

    def finish(self) -> None:
        super().finish()
        self.engine.close()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Requests are not logged."""

    def do_GET(self) -> None:
        if self.path == "/ping":
            self._answer(200, b"Ok.\n")
        else:
            self._run()

    def do_POST(self) -> None:
        if self.path == "/faults":
            self.faults.put(json.loads(self._body()))
            self._answer(200, b"")
        else:
            self._run()

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            chunks = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            data = b"".join(chunks)
        else:
            data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return _decompress(data, self.headers.get("Content-Encoding", ""))

    def _run(self) -> None:
        asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query, keep_blank_values=True))
        body = self._body()
        text = asked["query"].encode() + b"\n" + body if "query" in asked else body
        values = {name[6:]: value for name, value in asked.items() if name.startswith("param_")}
        settings = {k: v for k, v in asked.items() if k not in _TRANSPORT and not k.startswith("param_")}
        fault = self.faults.hit(text)
        if fault is not None:
            time.sleep(fault.delay)
            if not fault.after and self._fail(fault):
                return
        try:
            if asked.get("database"):
                self.engine.query(f"USE `{asked['database']}`")
            for name, value in settings.items():
                self.engine.query(f"SET {name} = {_quoted(value)}")
            try:
                shape, answer = self._execute(text, values, asked.get("default_format", "TabSeparated"))
            finally:
                for name in settings:
                    self.engine.query(f"SET {name} = DEFAULT")
        except Exception as error:
            message = str(error)
            code = _CODE.search(message)
            self._answer(500, message.encode(), {"X-ClickHouse-Exception-Code": code[1] if code else "1000"})
        else:
            if fault is None or not fault.after or not self._fail(fault):
                self._answer(200, answer, {"X-ClickHouse-Format": shape} if shape else {})

    def _fail(self, fault: Fault) -> bool:
        if fault.cut:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        elif fault.code:
            text = f"Code: {fault.code}. DB::Exception: {TEXTS.get(fault.code, 'failed')} (version 26.9.2.1)"
            status = 403 if fault.code == 516 else 404 if fault.code == 60 else 500
            self._answer(status, text.encode(), {"X-ClickHouse-Exception-Code": str(fault.code)})
        return bool(fault.cut or fault.code)

    def _execute(self, text: bytes, values: dict[str, str], default: str) -> tuple[str, bytes]:
        insert = _INSERT.match(text)
        if insert:
            with tempfile.NamedTemporaryFile(suffix=".insert") as file:
                file.write(text[insert.end() :])
                file.flush()
                into, shape = insert[1].decode(), insert[2].decode()
                if " input(" in into:
                    into = into.replace(" input(", f" file({_quoted(file.name)}, '{shape}', ", 1)
                    self.engine.query(into)
                    return "", b""
                self.engine.query(f"{into} FROM INFILE {_quoted(file.name)} FORMAT {shape}")
            return "", b""
        sql = text.decode()
        asked = _FORMAT.search(text)
        if asked:
            return asked[1].decode(), self.engine.query(sql, params=values).bytes() or b""
        # A statement with a result has a line of names, if only that; one without has nothing. The header tells.
        answer = self.engine.query(sql, "TabSeparatedWithNames", params=values).bytes() or b""
        return (default, answer.partition(b"\n")[2]) if answer else ("", b"")

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"X-ClickHouse-Timezone": "UTC", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients are killed in tests: that their connections break is no news."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def serve(directory: str, port: int = 0, host: str = "127.0.0.1") -> None:
    """Serve the store in `directory` on a port until killed."""
    engine = chdb.connect(directory)  # type: ignore[no-untyped-call] # holds the engine open between connections
    handler = type("Handler", (_Handler,), {"path_of_store": directory})
    with _Server((host, port), handler) as server:
        print(f"listening on {server.server_address[1]}", flush=True)
        server.serve_forever()
    engine.close()


class ChdbServer:
    """The process, as a context manager; `dsn` is what tiercel takes, `port` the HTTP port.

    `host` is where it listens, `inside` what its command begins with, where that is not loopback of this machine.
    """

    def __init__(self, directory: Path, port: int = 0, *, host: str = "127.0.0.1", inside: Sequence[str] = ()) -> None:
        self._directory, self._host, self._inside = directory, host, inside
        self.process: subprocess.Popen[str] | None = None
        self.port = port

    def __enter__(self) -> "ChdbServer":
        # Entered again, it has the same port.
        arguments = [str(self._directory), str(self.port), self._host]
        command = [*self._inside, sys.executable, "-m", "tiercel.testing.chdb_http", *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        self.process.stdout.close()
        if not line.startswith("listening on "):
            raise RuntimeError(f"chDB did not start (exit status {self.process.wait()})")
        self.port = int(line.split()[-1])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def fail(self, *faults: Fault) -> None:
        """Fail in these ways from now on; none: no more."""
        body = json.dumps([fault.as_json() for fault in faults]).encode()
        with urllib.request.urlopen(f"http://{self._host}:{self.port}/faults", body):
            pass

    @property
    def dsn(self) -> str:
        return f"clickhouse://default@{self._host}:{self.port}/default"


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0, *sys.argv[3:4])
