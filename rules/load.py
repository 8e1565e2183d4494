"""Loads rule files: YAML in, compiled rules out, with every error and warning and the place of each.

A file is read item by item into definitions (items.py); after all files, lists are substituted, macros
replaced, and what rules are left is checked (compile.py). `load` never raises for what is in a file;
`Loaded.check()` does.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

from tiercel.rules import compile as compiling
from tiercel.rules import document, exceptions, required, throttle
from tiercel.rules.compile import CompiledRule
from tiercel.rules.document import Element, Mapping, Place, Scalar
from tiercel.rules.document import Sequence as Items
from tiercel.rules.items import Item, List, Macro, Rule
from tiercel.rules.parse import meant
from tiercel.rules.plan import Planner, Resolver, resolve_host
from tiercel.rules.problems import Location, Problem, Rejected, in_content
from tiercel.rules.source import File, Source
from tiercel.rules.throttle import Throttle

R = TypeVar("R")

KEYS = {
    "rule": ("condition", "output", "desc", "priority", "source", "enabled", "capture", "capture_duration",
             "warn_evttypes", "skip-if-unknown-filter", "tags", "exceptions", "append", "override", "throttle"),
    "macro": ("condition", "append", "override"),
    "list": ("items", "append", "override"),
}  # fmt: skip
APPENDABLE = {
    "rule": ("condition", "output", "desc", "tags", "exceptions"),
    "macro": ("condition",),
    "list": ("items",),
}
REPLACEABLE = {
    "rule": (
        *APPENDABLE["rule"],
        "priority",
        "capture",
        "capture_duration",
        "enabled",
        "warn_evttypes",
        "skip-if-unknown-filter",
        "throttle",
    ),
    "macro": ("condition",),
    "list": ("items",),
}
ITEMS = ("rule", "macro", "list", "required_engine_version", "required_plugin_versions")
MACRO_NAME = re.compile(r"[a-zA-Z]+[a-zA-Z0-9_]*")
LIST_NAME = re.compile(r"[^()\"'\s=,]+")


@dataclass(slots=True)
class Loaded:
    """All that the files say: rules in order of definition, and problems in order of files."""

    files: list[str]
    rules: list[CompiledRule]
    problems: list[Problem]
    contents: dict[str, File] = field(default_factory=dict)
    """The files that could be read, by name."""

    @property
    def errors(self) -> list[Problem]:
        return [problem for problem in self.problems if problem.is_error]

    @property
    def warnings(self) -> list[Problem]:
        return [problem for problem in self.problems if not problem.is_error]

    def check(self) -> Loaded:
        """Raise the first error as a RuleError."""
        for problem in self.errors:
            raise problem.error()
        return self

    def plan(
        self,
        *,
        matching: Literal["first", "all"] = "first",
        base64: bool = False,
        throttled: bool = False,
        default: Throttle | None = None,
        resolver: Resolver = resolve_host,
        version: Callable[[], str] | None = None,
    ) -> str:
        """The enabled rules as the engine reads them; `base64`: how alerts show buffers.

        `throttled`: as rules say, and by `default` where they say nothing; else every alert passes.
        """
        self.check()
        planner = Planner(matching=matching, base64=base64, resolver=resolver)
        for rule in self.rules:
            if rule.enabled:
                planner.add(
                    rule.name,
                    rule.tree,
                    rule.output,
                    priority=rule.priority,
                    tags=rule.tags,
                    source=rule.source,
                    codes=rule.codes,
                    throttle=(rule.throttle or default) if throttled else None,
                    extra=rule.extra,
                )
        return planner.plan(version)


def load(paths: Iterable[str | Path]) -> Loaded:
    """Load files, and the .yaml and .yml files of directories by name, in this order."""
    loader = Loader()
    for path in map(Path, paths):
        files = files_of(path)
        if not files:
            loader.names.append(str(path))
            loader.problems.append(_unreadable(path, "there is no rule file in it (*.yaml, *.yml)"))
        for file in files:
            loader.read(file)
    return loader.finish()


def library() -> list[Path]:
    """The shipped rule files."""
    return files_of(Path(__file__).parent / "library")


def files_of(path: Path) -> list[Path]:
    """A file itself, of a directory its rule files by name."""
    if not path.is_dir():
        return [path]
    files = (entry for entry in path.iterdir() if entry.suffix in (".yaml", ".yml") and entry.is_file())
    return sorted(entry for entry in files if not entry.stem.endswith("_test"))  # those of testing/suite.py


def text_of(path: Path) -> str | Problem:
    """The text of a file, or why it cannot be read."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("it is no regular file")
        if found.st_size > document.MAX_BYTES:
            raise ValueError(f"the file is larger than {document.MAX_BYTES >> 20} MiB")
        return path.read_bytes().decode()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return _unreadable(path, f"cannot be read: {reason}")


def _unreadable(path: Path, reason: str) -> Problem:
    return in_content("LOAD_ERR_FILE_READ", reason, str(path), Place(0, 0, 0))


class Loader:
    """Collects definitions over files; `finish` compiles them."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.contents: dict[str, File] = {}
        self.problems: list[Problem] = []
        self.lists: dict[str, List] = {}
        self.macros: dict[str, Macro] = {}
        self.rules: dict[str, Rule] = {}
        self.index = 0

    def read(self, path: Path) -> None:
        """Read one file from disk."""
        text = text_of(path)
        if isinstance(text, Problem):
            self.names.append(str(path))
            self.problems.append(text)
        else:
            self.read_text(str(path), text)

    def read_text(self, name: str, text: str) -> None:
        """Read the text of a file."""
        self.names.append(name)
        file = self.contents[name] = File(name, text)
        try:
            documents = document.read(text)
        except document.DocumentError as error:
            self.problems.append(in_content("LOAD_ERR_YAML_PARSE", error.message, name, error.place))
            return
        for root in documents:
            if not isinstance(root, Items):
                message = "a rule file is a list of items"
                self.problems.append(in_content("LOAD_ERR_YAML_VALIDATE", message, name, root.place))
                continue
            self.read_items(file, root.items)

    def read_items(self, file: File, items: Iterable[Element]) -> None:
        """Read items of a file; a wrong one is noted, and the others count."""
        for element in items:
            self.index += 1
            try:
                self.item(file, element)
            except Rejected as rejected:
                self.problems += rejected.problems

    def finish(self) -> Loaded:
        """Compile what has been read."""
        rules = compiling.compile_all(self.lists, self.macros, self.rules, self.problems)
        return Loaded(self.names, rules, self.problems, self.contents)

    # Items

    def item(self, file: File, element: Element) -> None:
        here = Location("rules content item", "", file.name, element.place)
        if not isinstance(element, Mapping):
            message = "an item must have keys"
            raise Rejected(in_content("LOAD_ERR_YAML_VALIDATE", message, file.name, element.place, here))
        kind = next((kind for kind in ITEMS if kind in element.items), None)
        if kind is None:
            if "tests" in element.items:  # of the rules beside it: testing/suite.py reads them
                return
            first = next(iter(element.keys), "")
            message = f"unknown item '{first}'{meant(first, ITEMS)}"
            self.problems.append(in_content("LOAD_UNKNOWN_ITEM", message, file.name, element.place, here))
            return
        item = Item(file, element, kind, "")
        if kind in KEYS:
            item.name = item.required(kind).text
        for repeated in element.repeated:
            self.problems.append(
                item.problem("LOAD_ERR_YAML_VALIDATE", f"the key '{repeated.text}' stands here twice", repeated.place)
            )
        if kind == "required_engine_version":
            required.check_engine(item)
        elif kind == "required_plugin_versions":
            item.kind = "required plugin versions"
            required.check_plugins(item)
        else:
            self.warn_keys(item)
            try:
                {"rule": self.rule, "macro": self.macro, "list": self.list}[kind](item)
            except Rejected:
                self.broken(item)
                raise

    def warn_keys(self, item: Item) -> None:
        known = (item.kind, *KEYS[item.kind])
        for key, word in item.node.keys.items():
            if key not in known:
                message = f"unknown key '{key}'{meant(key, known)}"
                self.problems.append(item.problem("LOAD_UNKNOWN_KEY", message, word.place))

    def broken(self, item: Item) -> None:
        """A wrong item still defines its name: what refers to it is not wrong for that."""
        if item.kind == "rule":
            self.rules.setdefault(item.name, Rule(item.name, item)).broken = True
        elif item.kind == "macro":
            self.macros.setdefault(item.name, Macro(item.name, None, item, self.index, self.index)).condition = None
        else:
            self.lists.setdefault(item.name, List(item.name, [], item, self.index, self.index))

    def attempt(self, read: Callable[..., R], *arguments: object) -> R | None:
        """What `read` gives; none if it finds a fault, which is noted."""
        try:
            return read(*arguments)
        except Rejected as rejected:
            self.problems += rejected.problems
            return None

    # Append and override

    def modes(self, item: Item) -> dict[str, str]:
        """For each key that changes an existing definition: append or replace. Empty for a new definition."""
        append = item.flag("append", default=False)
        override = item.node.items.get("override")
        if append:
            if override is not None:
                item.fail("'append' and 'override' cannot be combined", override.place)
            message = "'append' is deprecated; use 'override'"
            self.problems.append(item.problem("LOAD_DEPRECATED_ITEM", message, item.node.keys["append"].place))
            keys = ("condition", "exceptions") if item.kind == "rule" else APPENDABLE[item.kind]
            return {key: "append" for key in keys if item.has(key)} or {"": "append"}
        if override is None:
            return {}
        if not isinstance(override, Mapping):
            item.fail("'override' must have keys", override.place)
        modes, faults = {}, []
        for key, element in override.items.items():
            allowed = {"append": APPENDABLE, "replace": REPLACEABLE}
            word = element.text if isinstance(element, Scalar) else ""
            message, place = "", override.keys[key].place
            if word not in allowed:
                message, place = f"override of '{key}' must be append or replace", element.place
            elif key not in allowed[word][item.kind]:
                close = meant(key, allowed[word][item.kind])
                message = f"'{key}' of a {item.kind} cannot be overridden by {word}{close}"
            elif not item.has(key):
                message = f"override names '{key}', which the {item.kind} does not have"
            if message:
                faults.append(item.problem("LOAD_ERR_YAML_VALIDATE", message, place, what="overrides"))
            modes[key] = word
        for key in REPLACEABLE[item.kind]:
            if item.has(key) and key not in modes:
                message, place = f"'{key}' stands beside 'override' but is not named in it", item.node.keys[key].place
                faults.append(item.problem("LOAD_ERR_YAML_VALIDATE", message, place, what="overrides"))
        if faults:
            raise Rejected(*faults)
        return modes

    def existing(self, item: Item, known: object) -> None:
        if known is None:
            item.fail(
                f"there is no {item.kind} '{item.name}' before this to append to or override", None, "LOAD_ERR_VALIDATE"
            )

    def list(self, item: Item) -> None:
        modes = self.modes(item)
        if not LIST_NAME.fullmatch(item.name):
            self.problems.append(item.problem("LOAD_INVALID_LIST_NAME", f"'{item.name}' is not a good name of a list"))
        if not item.has("items") and not modes:
            item.fail("the list has no 'items'")
        items = item.texts("items")
        known = self.lists.get(item.name)
        if modes:
            self.existing(item, known)
            assert known
            known.items = [] if "replace" in modes.values() else known.items
            known.items += items
            known.visible = self.index
        else:
            first = known.index if known else self.index
            self.lists[item.name] = List(item.name, items, item, first, self.index)

    def macro(self, item: Item) -> None:
        modes = self.modes(item)
        if not MACRO_NAME.fullmatch(item.name):
            self.problems.append(
                item.problem("LOAD_INVALID_MACRO_NAME", f"'{item.name}' is not a good name of a macro")
            )
        condition = item.source("condition")
        known = self.macros.get(item.name)
        if modes:
            self.existing(item, known)
            assert known
            known.condition = _changed(known.condition, condition, modes["condition"])
            known.visible = self.index
        else:
            first = known.index if known else self.index
            self.macros[item.name] = Macro(item.name, condition, item, first, self.index)

    def rule(self, item: Item) -> None:
        modes = self.modes(item)
        known = self.rules.get(item.name)
        if modes:
            self.existing(item, known)
            assert known
            self.change_rule(known, item, modes)
        elif not any(item.has(key) for key in ("condition", "output", "desc", "priority")) and item.has("enabled"):
            self.existing(item, known)
            assert known
            known.enabled = item.flag("enabled", default=True)
            message = "a rule with nothing but 'enabled' is deprecated; use 'override'"
            self.problems.append(item.problem("LOAD_DEPRECATED_ITEM", message))
        else:
            rule = self.new_rule(item)
            if known is not None and known.source != rule.source and not known.broken:
                item.fail(f"the rule exists with source {known.source}, which cannot change", None, "LOAD_ERR_VALIDATE")
            self.rules[item.name] = rule

    def new_rule(self, item: Item) -> Rule:
        before = len(self.problems)
        rule = Rule(item.name, item, self.attempt(item.source, "condition"), self.attempt(item.source, "output"))
        if desc := self.attempt(item.required, "desc"):
            rule.desc = desc.text
        rule.priority = self.attempt(item.priority) or 0
        if source := self.attempt(item.scalar, "source"):
            rule.source = source.text
        for change in SETTINGS.values():
            self.attempt(change, rule, item)
        rule.tags = set(self.attempt(item.texts, "tags") or ())
        self.attempt(exceptions.read, item, rule.exceptions, self.problems)
        rule.broken = any(problem.is_error for problem in self.problems[before:])
        return rule

    def change_rule(self, rule: Rule, item: Item, modes: dict[str, str]) -> None:
        before = len(self.problems)
        if "condition" in modes and (new := self.attempt(item.source, "condition")):
            rule.condition = _changed(rule.condition, new, modes["condition"])
        if "output" in modes and (new := self.attempt(item.source, "output")):
            rule.output = _changed(rule.output, new, modes["output"])
        if "desc" in modes and (desc := self.attempt(item.required, "desc")):
            rule.desc = f"{rule.desc} {desc.text}" if modes["desc"] == "append" else desc.text
        if "tags" in modes:
            tags = set(self.attempt(item.texts, "tags") or ())
            rule.tags = rule.tags | tags if modes["tags"] == "append" else tags
        if "exceptions" in modes:
            append = modes["exceptions"] == "append"
            rule.exceptions = rule.exceptions if append else {}
            self.attempt(exceptions.read, item, rule.exceptions, self.problems, append)
        if "priority" in modes:
            rule.priority = self.attempt(item.priority) or 0
        for key in modes:
            if key in SETTINGS:
                self.attempt(SETTINGS[key], rule, item)
        rule.broken = rule.broken or any(problem.is_error for problem in self.problems[before:])


def _changed(old: Source | None, new: Source, mode: str) -> Source | None:
    """What a text becomes by an override: appended with a blank between, or replaced. What is wrong stays so."""
    if mode == "replace":
        return new
    if old is not None:
        old.extend(new, between=" ")
    return old


def _set_enabled(rule: Rule, item: Item) -> None:
    rule.enabled = item.flag("enabled", default=rule.enabled)


def _set_warn_evttypes(rule: Rule, item: Item) -> None:
    rule.warn_evttypes = item.flag("warn_evttypes", default=True)


def _set_skip_unknown(rule: Rule, item: Item) -> None:
    rule.skip_unknown = item.flag("skip-if-unknown-filter", default=False)


def _set_capture(rule: Rule, item: Item) -> None:
    rule.capture = item.flag("capture", default=rule.capture)


def _set_capture_duration(rule: Rule, item: Item) -> None:
    rule.capture_duration = item.number("capture_duration", 0)


def _set_throttle(rule: Rule, item: Item) -> None:
    rule.throttle = throttle.read(item)


SETTINGS: dict[str, Callable[[Rule, Item], None]] = {
    "enabled": _set_enabled,
    "warn_evttypes": _set_warn_evttypes,
    "skip-if-unknown-filter": _set_skip_unknown,
    "capture": _set_capture,
    "capture_duration": _set_capture_duration,
    "throttle": _set_throttle,
}
"""Keys of a rule that only ever replace what was there."""


def rules_from(paths: Sequence[str | Path]) -> Loaded:
    """As `load`, raising a RuleError for the first error; without paths the shipped rules."""
    return load(paths or library()).check()
