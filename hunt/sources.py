"""Chooses who answers a hunt: the running tiercel behind a socket, or the store that a DSN names."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from tiercel import store
from tiercel.errors import StoreError
from tiercel.hunt.query import History
from tiercel.hunt.remote import Remote
from tiercel.schemas import migrations


def open_history(dsn: str | None, *, socket: Path, default: str) -> History | Remote:
    """`dsn` if given; else the process that listens at `socket`, if one does; else the store `default`."""
    if dsn is None:
        remote = Remote(socket) if socket.exists() else None
        if remote is not None and remote.answers():
            return remote
        dsn = default
        folder = Path(unquote(urlsplit(dsn).path))
        if dsn.startswith("chdb:") and not folder.exists():
            raise StoreError(f"no tiercel runs here and {folder} holds no store yet; start `tiercel up` first")
    if dsn.startswith("unix:"):
        return Remote(Path(unquote(urlsplit(dsn).path)))
    client = store.connect(dsn)
    migrations.apply(client)
    return History(client)
