"""Runs the API in a thread of the process that holds the store, on a Unix socket that only its owner may use."""

import asyncio
import threading
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from tiercel import store
from tiercel.config import Settings
from tiercel.hunt.query import History
from tiercel.serve.app import application
from tiercel.sockets import listen_unix


def serve(settings: Settings) -> "Server":
    """The API over the configured store, with a client of its own."""
    return Server(application(History(store.connect(settings.store.dsn))), settings.api.socket)


class Server:
    """Listening from construction on; `close` takes the socket away again."""

    def __init__(self, application: Starlette, path: Path) -> None:
        self._path = path
        self._socket = listen_unix(path, "the API")
        config = uvicorn.Config(
            application, log_config=None, lifespan="off", access_log=False, timeout_graceful_shutdown=1
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="api", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        # Signals belong to the main thread: uvicorn takes none when it runs in another.
        asyncio.run(self._server.serve(sockets=[self._socket]))

    def close(self) -> None:
        """Answer what is being answered, at most a second, and go."""
        self._server.should_exit = True
        self._thread.join(timeout=1.5)
        self._path.unlink(missing_ok=True)
