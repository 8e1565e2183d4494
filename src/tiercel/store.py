"""Opens the store that a DSN names: a ClickHouse server, or a chDB directory in this process."""

import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from tiercel.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

_HINT = "use chdb:///directory or clickhouse://user:password@host:port/database"


def connect(dsn: str, *, timeout: float = 300.0) -> "Client":
    """A clickhouse-connect client; each thread needs its own. One process at a time may open a chDB directory.

    `timeout` is how many seconds a server may be silent.
    """
    parts = urlsplit(dsn)
    try:
        import clickhouse_connect  # noqa: PLC0415 -- heavy, and an extra
    except ImportError:
        raise StoreError("clickhouse-connect is not installed; pip install 'tiercel[local]' brings it") from None
    if parts.scheme == "chdb":
        return _chdb(Path(unquote(parts.path)), dsn)
    if parts.scheme not in ("clickhouse", "clickhouses") or not parts.hostname:
        raise ConfigError(f"store.dsn {dsn!r}: no store is named so; {_HINT}")
    secure = parts.scheme == "clickhouses" or parse_qs(parts.query).get("secure") == ["1"]
    # It tells of each failed request in a line of its own; whoever asked says it better.
    logging.getLogger("clickhouse_connect").setLevel(logging.ERROR)
    options: dict[str, Any] = {
        "host": parts.hostname,
        "port": parts.port or (8443 if secure else 8123),
        "username": unquote(parts.username or "default"),
        "password": unquote(parts.password or ""),
        "secure": secure,
        "autogenerate_session_id": False,
        "send_receive_timeout": int(timeout),
    }
    if database := parts.path.strip("/"):
        options["database"] = database
    try:
        return clickhouse_connect.get_client(**options)
    except Exception as error:
        raise StoreError(f"ClickHouse at {parts.hostname}:{options['port']} cannot be used: {_short(error)}") from None


def _chdb(folder: Path, dsn: str) -> "Client":
    import clickhouse_connect  # noqa: PLC0415

    if not folder.is_absolute():
        raise ConfigError(f"store.dsn {dsn!r}: wants an absolute directory; {_HINT}")
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (folder / ".writable").touch()
        (folder / ".writable").unlink()
    except OSError as error:
        raise StoreError(f"{folder}: the store's directory cannot be written: {error.strerror}") from None
    try:
        return clickhouse_connect.get_client(interface="chdb", path=str(folder))
    except Exception as error:
        text = _short(error)
        if "lock" in text.lower() or "already running" in text.lower():
            text = "another process has it open; ask that one (`tiercel hunt` finds its socket by itself)"
        raise StoreError(f"{folder}: the store cannot be opened: {text}") from None


def _short(error: Exception) -> str:
    """The first line of a driver's error without its stack, or the system's word in it."""
    if system := re.search(r"\[Errno -?\d+\] ([A-Z][\w ]+)", str(error)):
        return system[1]
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__
