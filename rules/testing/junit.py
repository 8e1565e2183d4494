"""Outcomes of tests as JUnit XML, which CI systems read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as Xml

from tiercel.rules.testing.run import Outcome

# What XML 1.0 cannot hold, not even escaped.
FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write(path: Path, outcomes: Sequence[Outcome]) -> None:
    """Write the file: a suite for each file of tests, a case for each test."""
    root = Xml.Element("testsuites", _counts(outcomes))
    files = dict.fromkeys(outcome.test.suite.file for outcome in outcomes)
    for file in files:
        mine = [outcome for outcome in outcomes if outcome.test.suite.file == file]
        suite = Xml.SubElement(root, "testsuite", {"name": _clean(str(file)), **_counts(mine)})
        for outcome in mine:
            facts = {"classname": _clean(str(file.with_suffix(""))), "name": _clean(outcome.test.name)}
            facts |= {"file": _clean(str(file)), "line": str(outcome.test.at.place.line + 1)}
            case = Xml.SubElement(suite, "testcase", facts | {"time": f"{outcome.seconds:.6f}"})
            if outcome.failure is not None:
                Xml.SubElement(case, "failure", {"message": _clean(outcome.failure)}).text = _clean(outcome.test.where)
    Xml.indent(root)
    Xml.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def _counts(outcomes: Sequence[Outcome]) -> dict[str, str]:
    failed = sum(outcome.failure is not None for outcome in outcomes)
    seconds = sum(outcome.seconds for outcome in outcomes)
    return {"tests": str(len(outcomes)), "failures": str(failed), "errors": "0", "time": f"{seconds:.6f}"}


def _clean(text: str) -> str:
    return FORBIDDEN.sub("�", text)
