"""Files of tests: `tests/*.yaml` and `*_test.yaml` beside rules, and items `- tests:` among the rules of a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tiercel.errors import RuleError, TiercelError
from tiercel.rules import document
from tiercel.rules.document import Element, Mapping, Scalar, Sequence
from tiercel.rules.testing.events import known
from tiercel.rules.testing.form import Form, given

KEYS = ("rules", "defaults", "tests")
OF_EVENTS = ("name", "events", "alerts")
OF_CAPTURE = ("name", "capture", "expect", "alerts", "absent")
LIBRARY = Path(__file__).resolve().parent.parent / "library"


@dataclass(frozen=True, slots=True)
class Expected:
    """An alert that must come; `output` is a part of its message."""

    rule: str
    output: str
    at: Element


@dataclass(frozen=True, slots=True)
class RuleTest:
    """One test: events and exactly the alerts of them, or a capture and what must and must not be among its alerts."""

    suite: Suite
    name: str
    at: Element
    alerts: tuple[Expected, ...] = ()
    events: tuple[Element, ...] = ()
    capture: Path | None = None
    counts: tuple[tuple[str, int], ...] = ()
    absent: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        return f"{self.suite.file}:{self.at.place.line + 1}"


@dataclass(slots=True)
class Suite:
    """The tests of one file on one set of rules. `inline` are rules that stand in the file of the tests itself."""

    file: Path
    text: str
    form: Form
    files: tuple[Path, ...] = ()
    inline: tuple[Element, ...] = ()
    defaults: Mapping | None = None
    tests: list[RuleTest] = field(default_factory=list)

    def wanted(self) -> frozenset[str]:
        """Rules that some test expects: they are tested although they may be disabled."""
        rules = {alert.rule for test in self.tests for alert in test.alerts}
        return frozenset(rules | {rule for test in self.tests for rule, _ in test.counts})


def find(paths: Iterable[str | Path]) -> list[Suite]:
    """The tests of files and directories, sub-directories included; RuleError if one of them is wrong."""
    suites: list[Suite] = []
    for path in map(Path, paths):
        if path.is_dir():
            for file in sorted(file for file in path.rglob("*.y*ml") if file.suffix in (".yaml", ".yml")):
                suites += _suites(file, only_tests=_is_tests(file))
        else:
            suites += _suites(path, only_tests=True)
    if not any(suite.tests for suite in suites):
        raise TiercelError(f"there are no tests in {', '.join(map(str, paths))}")
    return suites


def _is_tests(file: Path) -> bool:
    return file.parent.name == "tests" or file.stem.endswith("_test")


def _suites(file: Path, *, only_tests: bool) -> Iterator[Suite]:
    form = Form(str(file))
    text, roots = _read(file)
    for root in roots:
        if isinstance(root, Mapping) and only_tests:
            yield _suite(file, text, form, form.mapping(root, "a file of tests", KEYS), within=False)
        elif isinstance(root, Sequence):
            for item in root.items:
                if isinstance(item, Mapping) and "tests" in item.items:
                    yield _suite(file, text, form, form.mapping(item, "an item of tests", KEYS), within=True)
        elif only_tests:
            raise form.error("a file of tests has the keys `rules`, `defaults` and `tests`", root)


def _read(file: Path) -> tuple[str, list[Element]]:
    try:
        if file.stat().st_size > document.MAX_BYTES:
            raise RuleError(f"the file is larger than {document.MAX_BYTES >> 20} MiB", file=str(file))
        text = file.read_text(encoding="utf-8")
        return text, document.read(text)
    except OSError as error:
        raise RuleError(f"cannot be read: {error.strerror}", file=str(file)) from None
    except UnicodeDecodeError as error:
        raise RuleError(f"cannot be read: {error.reason}", file=str(file)) from None
    except document.DocumentError as error:
        place = error.place
        raise RuleError(error.message, file=str(file), line=place.line + 1, column=place.column + 1) from None


def _suite(file: Path, text: str, form: Form, node: Mapping, *, within: bool) -> Suite:
    suite = Suite(file, text, form)
    if "tests" not in node.items:
        raise form.error("there are no `tests`", node)
    tests = form.items(node.items["tests"], "tests")
    if not tests:
        return suite
    suite.files, suite.inline = _rules(file, form, node, within=within)
    defaults = given(node.items.get("defaults"))
    suite.defaults = form.mapping(defaults, "defaults") if defaults else None
    if suite.defaults:
        _check_defaults(form, suite.defaults)
    suite.tests = [_test(suite, form, item) for item in tests]
    return suite


def _check_defaults(form: Form, defaults: Mapping) -> None:
    for key, at in defaults.keys.items():
        if key not in ("by", "on") and key not in known():
            raise form.unknown("key in defaults:", key, ("by", "on", *known()), at)


def _rules(file: Path, form: Form, node: Mapping, *, within: bool) -> tuple[tuple[Path, ...], tuple[Element, ...]]:
    """The files named by `rules`, else all beside the tests; of tests within a rule file that file comes last."""
    if "rules" not in node.items:
        return (file,) if within else tuple(_beside(file, form, node)), ()
    files: list[Path] = []
    inline: list[Element] = []
    for item in form.items(node.items["rules"], "rules"):
        if not isinstance(item, Scalar):
            inline.append(form.mapping(item, "a rule"))
            continue
        # Tests are often called as the rules that they test: what stands among tests is looked at last.
        places = sorted((file.parent / item.text, file.parent.parent / item.text, LIBRARY / item.text), key=_is_tests)
        found = next((place for place in places if place.is_file() and (within or not place.samefile(file))), None)
        if found is None:
            raise form.error(f"there is no rule file {item.text!r} here, one folder up or among the shipped ones", item)
        files.append(found)
    if within and not any(found.samefile(file) for found in files):
        files.append(file)
    return tuple(files), tuple(inline)


def _beside(file: Path, form: Form, node: Mapping) -> list[Path]:
    folder = file.parent.parent if file.parent.name == "tests" else file.parent
    found = [path for path in sorted(folder.iterdir()) if path.suffix in (".yaml", ".yml") and not _is_tests(path)]
    if not found:
        raise form.error(f"there are no rule files in {folder}: name some by `rules`", node)
    return found


def _test(suite: Suite, form: Form, item: Element) -> RuleTest:
    keys = OF_CAPTURE if isinstance(item, Mapping) and "capture" in item.items else OF_EVENTS
    node = form.mapping(item, "a test", keys)
    name = form.text(node.items["name"], "name") if "name" in node.items else f"test {len(suite.tests) + 1}"
    if "capture" in node.items:
        return _of_capture(suite, form, node, name)
    if "events" not in node.items or "alerts" not in node.items:
        raise form.error(f"the test {name!r} needs `events` (or `capture`) and `alerts`, which may be []", node)
    events = form.items(node.items["events"], "events")
    if not events:
        raise form.error(f"the test {name!r} has no events", node.items["events"])
    return RuleTest(suite, name, node, _alerts(form, node), tuple(events))


def _of_capture(suite: Suite, form: Form, node: Mapping, name: str) -> RuleTest:
    if not set(node.items) & {"expect", "alerts", "absent"}:
        raise form.error(f"the test {name!r} expects nothing: say `expect`, `alerts` or `absent`", node)
    path = suite.file.parent / form.text(node.items["capture"], "capture")
    if not path.is_file():
        raise form.error(f"there is no capture {path}", node.items["capture"])
    counts = form.mapping(node.items["expect"], "expect").items if "expect" in node.items else {}
    return RuleTest(
        suite, name, node, _alerts(form, node), (), path,
        tuple((rule, form.number(count, rule)) for rule, count in counts.items()),
        tuple(form.texts(node.items["absent"], "absent")) if "absent" in node.items else (),
    )  # fmt: skip


def _alerts(form: Form, node: Mapping) -> tuple[Expected, ...]:
    out = []
    for item in form.items(node.items["alerts"], "alerts") if "alerts" in node.items else []:
        if isinstance(item, Scalar):
            out.append(Expected(item.text, "", item))
            continue
        alert = form.mapping(item, "an alert", ("rule", "output"))
        if "rule" not in alert.items:
            raise form.error("an alert has a `rule`", item)
        output = form.text(alert.items["output"], "output") if "output" in alert.items else ""
        out.append(Expected(form.text(alert.items["rule"], "rule"), output, item))
    return tuple(out)
