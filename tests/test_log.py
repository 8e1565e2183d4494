"""One line a record, as text or as JSON, with its context."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from tiercel import log


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    root, own = logging.getLogger(), logging.getLogger("tiercel")
    before = root.handlers[:], root.level, own.level
    yield
    root.handlers[:], root.level, own.level = before


def test_text_has_the_context() -> None:
    stream = io.StringIO()
    log.setup("info", "text", stream)
    logging.getLogger("tiercel.collector").info("Sent the %s.", "snapshot", extra={"threads": 3})
    logging.getLogger("tiercel.collector").debug("Not shown.")
    assert stream.getvalue().endswith("INFO collector: Sent the snapshot. threads=3\n")
    assert stream.getvalue().count("\n") == 1


def test_json_is_one_object_a_line() -> None:
    stream = io.StringIO()
    log.setup("debug", "json", stream)
    try:
        raise ValueError("no")
    except ValueError:
        logging.getLogger("tiercel.sinks").exception("Could not insert.", extra={"rows": 3})
    line = json.loads(stream.getvalue())
    assert (line["level"], line["logger"], line["message"], line["rows"]) == (
        "error",
        "tiercel.sinks",
        "Could not insert.",
        3,
    )
    assert "ValueError: no" in line["traceback"]


def test_what_stands_in_a_message_begins_no_line_and_drives_no_terminal() -> None:
    stream = io.StringIO()
    log.setup("info", "text", stream)
    logging.getLogger("tiercel.processors").warning("refused: %s", "a\n12:00:00.000 INFO forged\x1b[2J\x9b")
    assert stream.getvalue().removesuffix("\n").isprintable()
