"""The one logging set-up: sentences on stderr, with what `extra` holds as key=value (text) or as keys (JSON)."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import TextIO

from tiercel.printable import printable

_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def setup(level: str = "info", format: str = "text", stream: TextIO | None = None) -> None:  # noqa: A002
    """Send the records of tiercel, and errors of everything else, to `stream` (stderr). Replaces an earlier one."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if format == "json" else TextFormatter())
    # On the handler, not the root's level: some libraries set a level of their own.
    handler.addFilter(lambda record: record.name.startswith("tiercel") or record.levelno >= logging.ERROR)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("tiercel").setLevel(level.upper())


def _context(record: logging.LogRecord) -> dict[str, object]:
    return {key: value for key, value in vars(record).items() if key not in _OWN}


class TextFormatter(logging.Formatter):
    """`12:00:00.000 INFO collector: Sent the snapshot. threads=312`."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, and the traceback below it when there is one."""
        when = datetime.fromtimestamp(record.created).strftime("%H:%M:%S.%f")[:-3]
        context = "".join(f" {key}={value}" for key, value in _context(record).items())
        logger = record.name.removeprefix("tiercel.")
        line = printable(f"{when} {record.levelname} {logger}: {record.getMessage()}{context}")
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonFormatter(logging.Formatter):
    """One object a line: time, level, logger, message, then the context."""

    def format(self, record: logging.LogRecord) -> str:
        """One line; a traceback becomes the key `traceback`."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_context(record),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)
