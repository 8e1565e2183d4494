"""Loads rule files: YAML in, compiled rules out, with every error and warning and the place of each.

A file is read item by item into definitions (items.py); after all files, lists are substituted, macros
replaced, and what rules are left is checked (compile.py). `load` never raises for what is in a file;
`Loaded.check()` does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tiercel.rules import compile as compiling
from tiercel.rules import document, exceptions
from tiercel.rules.compile import CompiledRule
from tiercel.rules.document import Element, Mapping, Place, Scalar
from tiercel.rules.document import Sequence as Items
from tiercel.rules.items import Item, List, Macro, Rule
from tiercel.rules.plan import Planner
from tiercel.rules.problems import Problem, Rejected
from tiercel.rules.source import File, Source

ENGINE_VERSION = (0, 63, 0)
"""The version of Falco's rule engine whose files we read."""
PLUGINS = {"container": (0, 7, 0)}
"""What files may require; container facts are built in."""

KEYS = {
    "rule": ("condition", "output", "desc", "priority", "source", "enabled", "capture", "capture_duration",
             "warn_evttypes", "skip-if-unknown-filter", "tags", "exceptions", "append", "override"),
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
    ),
    "macro": ("condition",),
    "list": ("items",),
}
MACRO_NAME = re.compile(r"[a-zA-Z]+[a-zA-Z0-9_]*")
LIST_NAME = re.compile(r"[^()\"'\s=,]+")


@dataclass(slots=True)
class Loaded:
    """All that the files say: rules in order of definition, and problems in order of files."""

    files: list[str]
    rules: list[CompiledRule]
    problems: list[Problem]

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

    def plan(self, *, matching: Literal["first", "all"] = "first") -> str:
        """The enabled rules as the engine reads them."""
        self.check()
        planner = Planner(matching=matching)
        for rule in self.rules:
            if rule.enabled:
                planner.add(
                    rule.name, rule.tree, rule.output, priority=rule.priority, tags=rule.tags, source=rule.source
                )
        return planner.plan()


def load(paths: Iterable[str | Path]) -> Loaded:
    """Load files, and the .yaml and .yml files of directories by name, in this order."""
    loader = Loader()
    for path in paths:
        for file in _files(Path(path)):
            loader.read(file)
    return loader.finish()


def library() -> list[Path]:
    """The shipped rule files."""
    return _files(Path(__file__).parent / "library")


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = (entry for entry in path.iterdir() if entry.suffix in (".yaml", ".yml") and entry.is_file())
    return sorted(entry for entry in files if not entry.stem.endswith("_test"))  # those of testing/suite.py


class Loader:
    """Collects definitions over files; `finish` compiles them."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.problems: list[Problem] = []
        self.lists: dict[str, List] = {}
        self.macros: dict[str, Macro] = {}
        self.rules: dict[str, Rule] = {}
        self.index = 0

    def read(self, path: Path) -> None:
        """Read one file from disk."""
        try:
            if path.stat().st_size > document.MAX_BYTES:
                raise ValueError(f"the file is larger than {document.MAX_BYTES >> 20} MiB")
            text = path.read_bytes().decode()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            self.names.append(str(path))
            self.problems.append(Problem("LOAD_ERR_FILE_READ", f"cannot be read: {reason}", str(path), Place(0, 0, 0)))
            return
        self.read_text(str(path), text)

    def read_text(self, name: str, text: str) -> None:
        """Read the text of a file."""
        self.names.append(name)
        file = File(name, text)
        try:
            documents = document.read(text)
        except document.DocumentError as error:
            self.problems.append(Problem("LOAD_ERR_YAML_PARSE", error.message, name, error.place))
            return
        for root in documents:
            if not isinstance(root, Items):
                self.problems.append(
                    Problem("LOAD_ERR_YAML_VALIDATE", "a rule file is a list of items", name, root.place)
                )
                continue
            self.read_items(file, root.items)

    def read_items(self, file: File, items: Iterable[Element]) -> None:
        """Read items of a file; a wrong one is noted, and the others count."""
        for element in items:
            self.index += 1
            try:
                self.item(file, element)
            except Rejected as rejected:
                self.problems.append(rejected.problem)

    def finish(self) -> Loaded:
        """Compile what has been read."""
        rules = compiling.compile_all(self.lists, self.macros, self.rules, self.problems)
        return Loaded(self.names, rules, self.problems)

    # Items

    def item(self, file: File, element: Element) -> None:
        if not isinstance(element, Mapping):
            raise Rejected(
                Problem(
                    "LOAD_ERR_YAML_VALIDATE", "an item must have keys", file.name, element.place, "rules content item"
                )
            )
        for kind in ("rule", "macro", "list", "required_engine_version", "required_plugin_versions"):
            if kind in element.items:
                break
        else:
            if "tests" in element.items:  # of the rules beside it: testing/suite.py reads them
                return
            first = next(iter(element.keys), "")
            message = f"unknown item '{first}'"
            self.problems.append(Problem("LOAD_UNKNOWN_ITEM", message, file.name, element.place, "rules content item"))
            return
        item = Item(file, element, kind, "")
        for repeated in element.repeated:
            item.fail(f"the key '{repeated.text}' stands here twice", repeated.place)
        if kind == "required_engine_version":
            self.engine_version(item)
        elif kind == "required_plugin_versions":
            self.plugin_versions(item)
        else:
            item.name = item.required(kind).text
            for key, place in element.keys.items():
                if key != kind and key not in KEYS[kind]:
                    self.problems.append(item.problem("LOAD_UNKNOWN_KEY", f"unknown key '{key}'", place.place))
            {"rule": self.rule, "macro": self.macro, "list": self.list}[kind](item)

    def engine_version(self, item: Item) -> None:
        version = item.required("required_engine_version")
        wanted = _version(version.text)
        if wanted is None:
            item.fail(f"'{version.text}' is no version", version.place)
        if wanted > ENGINE_VERSION:
            ours = ".".join(map(str, ENGINE_VERSION))
            item.fail(
                f"the rules need engine version {version.text}, this is {ours}", version.place, "LOAD_ERR_VALIDATE"
            )

    def plugin_versions(self, item: Item) -> None:
        for entry in item.sequence("required_plugin_versions"):
            if not isinstance(entry, Mapping):
                item.fail("a required plugin has name and version", entry.place)
            within = Item(item.file, entry, "required plugin versions entry", "")
            choices = [within]
            for other in within.sequence("alternatives"):
                if not isinstance(other, Mapping):
                    item.fail("an alternative has name and version", other.place)
                choices.append(Item(item.file, other, "required plugin versions alternative", ""))
            available = [self.has_plugin(choice) for choice in choices]
            if not any(available):
                name = within.required("name").text
                message = f"the plugin {name} {within.required('version').text} is not available"
                item.fail(message, entry.place, "LOAD_ERR_VALIDATE")

    @staticmethod
    def has_plugin(entry: Item) -> bool:
        name, version = entry.required("name"), entry.required("version")
        wanted, ours = _version(version.text), PLUGINS.get(name.text)
        if wanted is None:
            entry.fail(f"'{version.text}' is no version", version.place)
        return ours is not None and wanted[0] == ours[0] and wanted <= ours

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
        modes = {}
        for key, element in override.items.items():
            allowed = {"append": APPENDABLE, "replace": REPLACEABLE}
            word = element.text if isinstance(element, Scalar) else ""
            if word not in allowed:
                item.fail(f"override of '{key}' must be append or replace", element.place)
            if key not in allowed[word][item.kind]:
                item.fail(f"'{key}' of a {item.kind} cannot be overridden by {word}", override.keys[key].place)
            if not item.has(key):
                item.fail(f"override names '{key}', which the {item.kind} does not have", override.keys[key].place)
            modes[key] = word
        for key in REPLACEABLE[item.kind]:
            if item.has(key) and key not in modes:
                item.fail(f"'{key}' stands beside 'override' but is not named in it", item.node.keys[key].place)
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
            known.items = known.items + items if "replace" not in modes.values() else items
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
            known.condition = known.condition.joined(condition) if "append" in modes.values() else condition
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
            if known is not None and known.source != rule.source:
                item.fail(f"the rule exists with source {known.source}, which cannot change", None, "LOAD_ERR_VALIDATE")
            self.rules[item.name] = rule

    def new_rule(self, item: Item) -> Rule:
        condition, output = item.source("condition"), item.source("output")
        desc = item.required("desc").text
        entries, warnings = exceptions.read(item)
        self.problems += warnings
        source = item.scalar("source")
        return Rule(
            name=item.name,
            item=item,
            condition=condition,
            output=output,
            desc=desc,
            priority=item.priority(),
            source=source.text if source else "syscall",
            enabled=item.flag("enabled", default=True),
            tags=set(item.texts("tags")),
            warn_evttypes=item.flag("warn_evttypes", default=True),
            skip_unknown=item.flag("skip-if-unknown-filter", default=False),
            capture=item.flag("capture", default=False),
            capture_duration=item.number("capture_duration", 0),
            exceptions=entries,
        )

    def change_rule(self, rule: Rule, item: Item, modes: dict[str, str]) -> None:
        def text(key: str, old: Source) -> Source:
            new = item.source(key)
            return old.joined(new) if modes[key] == "append" else new

        if "condition" in modes:
            rule.condition = text("condition", rule.condition)
        if "output" in modes:
            rule.output = text("output", rule.output)
        if "desc" in modes:
            new = item.required("desc").text
            rule.desc = f"{rule.desc} {new}" if modes["desc"] == "append" else new
        if "tags" in modes:
            tags = set(item.texts("tags"))
            rule.tags = rule.tags | tags if modes["tags"] == "append" else tags
        if "exceptions" in modes:
            old = rule.exceptions if modes["exceptions"] == "append" else None
            rule.exceptions, warnings = exceptions.read(item, append_to=old)
            self.problems += warnings
        if "priority" in modes:
            rule.priority = item.priority()
        rule.enabled = item.flag("enabled", default=rule.enabled) if "enabled" in modes else rule.enabled
        if "warn_evttypes" in modes:
            rule.warn_evttypes = item.flag("warn_evttypes", default=True)
        if "skip-if-unknown-filter" in modes:
            rule.skip_unknown = item.flag("skip-if-unknown-filter", default=False)
        rule.capture = item.flag("capture", default=rule.capture) if "capture" in modes else rule.capture
        if "capture_duration" in modes:
            rule.capture_duration = item.number("capture_duration", 0)


def _version(text: str) -> tuple[int, int, int] | None:
    """`0.57.0`, or `57` for `0.57.0`."""
    if text.isascii() and text.isdigit():
        return (0, int(text[:9]), 0)
    found = re.fullmatch(r"(\d{1,9})\.(\d{1,9})\.(\d{1,9})(?:[-+].*)?", text, re.ASCII)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def rules_from(paths: Sequence[str | Path]) -> Loaded:
    """As `load`, raising a RuleError for the first error; without paths the shipped rules."""
    return load(paths or library()).check()
