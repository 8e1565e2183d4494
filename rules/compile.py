"""From definitions to checked trees: lists substituted, macros replaced, exceptions appended; called by load.py."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from tiercel import _engine
from tiercel.rules import exceptions
from tiercel.rules.check import MAX_FAULTS, examine
from tiercel.rules.events import Events
from tiercel.rules.fields import UnknownNameError, unknown
from tiercel.rules.items import PRIORITIES, Item, List, Macro, Rule
from tiercel.rules.parse import ConditionError, meant, parse
from tiercel.rules.problems import Location, Problem, Rejected, in_content
from tiercel.rules.source import Part, Source, TooLongError
from tiercel.rules.throttle import Throttle
from tiercel.rules.tree import And, MacroCall, Node, Not, Or, fold
from tiercel.schemas import tables

SOURCES = ("syscall",)
MAX_SIZE, MAX_HEIGHT = 200_000, 500
"""Comparisons, ands, ors and nots of one condition with its macros, and how deep they are nested."""
MAX_LENGTH, MAX_LENGTHS = 4 << 20, 64 << 20
"""Letters of one condition with its lists, and of all conditions together."""
MANY_EVENTS = 100
MAX_ERRORS = 1000
"""After so many no more rules are looked at."""


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """A rule whose condition is checked and free of macros. Disabled rules are compiled, too: they can be enabled."""

    name: str
    tree: Node
    codes: frozenset[int]
    """Of the events on which the condition may hold."""
    output: str
    desc: str
    priority: str
    tags: tuple[str, ...]
    source: str
    enabled: bool
    file: str
    line: int
    condition: str = ""
    """As written, without exceptions."""
    macros: Mapping[str, Node] = field(default_factory=dict, compare=False)
    """What stands in the tree for each macro in it, outer ones first."""
    lists: tuple[str, ...] = ()
    exceptions: tuple[exceptions.Shape, ...] = ()
    throttle: Throttle | None = None
    extra: tuple[tuple[str, str | None], ...] = ()
    """Further output_fields: a field by its name, or a name and the format of a text."""


def compile_all(
    lists: dict[str, List], macros: dict[str, Macro], rules: dict[str, Rule], problems: list[Problem]
) -> list[CompiledRule]:
    """Compile every rule; problems are appended."""
    compiler = _Compiler(lists, macros, problems)
    compiler.compile_macros()
    out: list[CompiledRule] = []
    seen = errors = 0
    for rule in rules.values():
        errors += sum(problem.is_error for problem in problems[seen:])
        seen = len(problems)
        if errors >= MAX_ERRORS:
            message = f"{errors} errors so far: this rule and those behind it are not looked at"
            problems.append(rule.item.problem("LOAD_ERR_VALIDATE", message))
            return out
        try:
            compiled = compiler.rule(rule)
        except Rejected as rejected:
            problems.extend(rejected.problems)
        else:
            out += [compiled] if compiled else []
    compiler.warn_unused()
    return out


@dataclass(frozen=True, slots=True)
class _Text:
    """A condition as it is parsed, and what it belongs to."""

    item: Item
    source: Source

    def problem(self, code: str, message: str, at: int) -> Problem:
        file, place = self.source.place(at)
        item = self.item
        begins = self.source.begins(at)
        inside = Location(f"{item.kind} condition", "", file.name, begins)
        expression = Location("condition expression", "", file.name, place)
        return in_content(code, message, file.name, place, *item.locations, inside, expression)


class _Compiler:
    def __init__(self, lists: dict[str, List], macros: dict[str, Macro], problems: list[Problem]) -> None:
        self.lists, self.macros, self.problems = lists, macros, problems
        # Lists by the list, macro or rule whose own text names them.
        self.named: dict[str, set[str]] = {}
        self.values = {name: ", ".join(self.expanded(entry)) for name, entry in lists.items()}
        self.trees: dict[str, Node] = {}
        self.own: dict[str, tuple[_Text, Node]] = {}
        self.within: dict[str, frozenset[str]] = {}
        self.faults: dict[str, list[ConditionError]] = {}
        self.length = 0
        self.events = Events()
        # By identity; the node is kept so that its identity is not given to another.
        self.sizes: dict[int, tuple[int, int, Node]] = {}

    def expanded(self, entry: List) -> list[str]:
        """Items of a list; an item that names a list defined before stands for that list's items."""
        out: list[str] = []
        length = 0
        for item in entry.items:
            other = self.lists.get(item)
            if other is not None and other is not entry and other.index < entry.visible:
                other.used = True
                self.named.setdefault(f"list {entry.name}", set()).add(item)
                new = [exceptions.quoted(value) for value in other.items]
            else:
                new = [exceptions.quoted(item)]
            length += sum(map(len, new))
            if length > MAX_LENGTH:
                message = f"the list becomes longer than {MAX_LENGTH >> 20} MiB when other lists are put in"
                self.problems.append(entry.item.problem("LOAD_ERR_VALIDATE", message))
                return []
            out += new
        return out

    def parsed(self, text: _Text) -> tuple[_Text, Node]:
        source = text.source
        used = source.words(self.values)
        self.named[f"{text.item.kind} {text.item.name}"] = used
        for name in used:
            self.lists[name].used = True
        try:
            if used:
                text = _Text(text.item, source.with_words(self.values, MAX_LENGTH))
            self.length += len(text.source.text)
            if len(text.source.text) > MAX_LENGTH or self.length > MAX_LENGTHS:
                raise TooLongError(0)
            return text, parse(text.source.text)
        except TooLongError as error:
            message = f"the condition is longer than {MAX_LENGTH >> 20} MiB with its lists put in"
            if self.length > MAX_LENGTHS:
                message = f"all conditions together are longer than {MAX_LENGTHS >> 20} MiB with their lists put in"
            problem = _Text(text.item, source).problem("LOAD_ERR_COMPILE_CONDITION", message, error.at)
            raise Rejected(problem) from error
        except ConditionError as error:
            raise Rejected(text.problem("LOAD_ERR_COMPILE_CONDITION", error.message, error.at)) from error

    # Macros

    def compile_macros(self) -> None:
        """Parse each macro, then put macros into each other, those within first."""
        for macro in self.macros.values():
            if macro.condition is None:
                self.give_up(macro)
                continue
            try:
                self.own[macro.name] = self.parsed(_Text(macro.item, macro.condition))
            except Rejected as rejected:
                self.problems += rejected.problems
                self.give_up(macro)
        for macro in self.macros.values():
            stack = [macro.name]
            opened: set[str] = set()
            while stack:
                name = stack[-1]
                missing = (
                    [] if name in opened else [other for other in self.visible_from(name) if other not in self.trees]
                )
                opened.add(name)
                stack += [other for other in missing if other not in opened]
                if stack[-1] == name:
                    stack.pop()
                    self.compile_macro(name)

    def visible_from(self, name: str) -> list[str]:
        """Macros that a macro's own text names and may use: first defined before it was last touched."""
        if name not in self.own:
            return []
        names: list[str] = []
        fold(self.own[name][1], lambda node, _: names.append(node.name) if isinstance(node, MacroCall) else None)
        macros = self.macros
        return [
            other for other in dict.fromkeys(names) if other in macros and macros[other].index < macros[name].visible
        ]

    def compile_macro(self, name: str) -> None:
        if name in self.trees:
            return
        text, tree = self.own[name]
        try:
            self.trees[name] = self.replaced(tree, text, name)
        except Rejected as rejected:
            self.problems += rejected.problems
            self.give_up(self.macros[name])

    def give_up(self, macro: Macro) -> None:
        """A macro that is wrong: whoever uses it is not wrong as well, and the load fails anyhow."""
        self.trees[macro.name] = And((), 0)
        self.faults[macro.name] = []

    def replaced(self, tree: Node, text: _Text, name: str) -> Node:
        """The tree with macros put in; notes which they are, those within them included."""
        kind = text.item.kind
        used: set[str] = set()
        undefined: list[Problem] = []

        def visit(node: Node, below: list[Node]) -> Node:
            match node:
                case MacroCall() if len(undefined) < MAX_FAULTS:
                    found = self.macro(node, text, name)
                    if isinstance(found, Problem):
                        undefined.append(found)
                        return node
                    used.update((node.name,), self.within.get(f"macro {node.name}", ()))
                    return found
                case Not():
                    new: Node = Not(below[0], node.at)
                case And():
                    new = And(tuple(below), node.at)
                case Or():
                    new = Or(tuple(below), node.at)
                case _:
                    return node
            self.measure(new, below, text)
            return new

        new = fold(tree, visit)
        self.within[f"{kind} {name}"] = frozenset(used)
        if undefined:
            raise Rejected(*undefined)
        return new

    def macro(self, call: MacroCall, text: _Text, name: str) -> Node | Problem:
        """What stands for the name of a macro, or why nothing does."""
        tree = self.trees.get(call.name)
        user, used = self.macros.get(name) if text.item.kind == "macro" else None, self.macros.get(call.name)
        later = user is not None and used is not None and used.index >= user.visible
        if tree is None or later:
            close = meant(call.name, self.macros) if len(self.problems) < MAX_ERRORS else ""
            unknown = f"it is not defined{close}"
            reason = unknown if used is None else "it is defined later" if later else "it uses itself"
            message = f"Undefined macro '{call.name[:80]}' used in filter: {reason}"
            return text.problem("LOAD_ERR_VALIDATE", message, call.at)
        self.macros[call.name].used = True
        return tree

    def measure(self, new: Node, below: list[Node], text: _Text) -> None:
        """Macros in macros double with each step: bound what a rule becomes, counting every use."""
        size, height = 1, 1
        for node in below:
            known = self.sizes.get(id(node))
            size += known[0] if known else 1
            height = max(height, 1 + (known[1] if known else 1))
        if size > MAX_SIZE or height > MAX_HEIGHT:
            message = f"the condition has more than {MAX_SIZE} parts when its macros are put in"
            if height > MAX_HEIGHT:
                message = f"the condition is nested deeper than {MAX_HEIGHT} when its macros are put in"
            raise Rejected(text.problem("LOAD_ERR_COMPILE_CONDITION", message, new.at))
        self.sizes[id(new)] = (size, height, new)

    # Rules

    def rule(self, rule: Rule) -> CompiledRule | None:
        item = rule.item
        if rule.source not in SOURCES:
            message = f"unknown source '{rule.source}': the rule is ignored{meant(rule.source, SOURCES)}"
            self.problems.append(item.problem("LOAD_UNKNOWN_SOURCE", message))
            return None
        output = self.output(rule)
        tree = self.condition(rule)
        if tree is None or output is None or rule.broken:
            return None
        codes = self.events.of(tree)
        if rule.warn_evttypes and len(codes) > MANY_EVENTS:
            message = "the condition matches too many event types, which costs on every event; restrict evt.type"
            self.problems.append(item.problem("LOAD_NO_EVTTYPE", message))
        return CompiledRule(
            name=rule.name,
            tree=tree,
            codes=codes,
            output=output,
            desc=rule.desc,
            priority=PRIORITIES[rule.priority],
            tags=tuple(sorted(rule.tags)),
            source=rule.source,
            enabled=rule.enabled,
            file=item.file.name,
            line=item.node.place.line + 1,
            condition=rule.condition.text if rule.condition else "",
            macros={name: self.trees[name] for name in self.macros_of(rule.name)},
            lists=self.lists_of(rule.name),
            exceptions=tuple(exceptions.shape(entry) for entry in rule.exceptions.values()),
            throttle=rule.throttle,
        )

    def macros_of(self, rule: str) -> list[str]:
        """Macros in a rule, those that hold others before these."""
        names = sorted(self.within[f"rule {rule}"])
        return sorted(names, key=lambda name: len(self.within.get(f"macro {name}", ())), reverse=True)

    def lists_of(self, rule: str) -> tuple[str, ...]:
        """Lists that stand in a rule, in its macros, or in such lists."""
        waiting = [f"rule {rule}", *(f"macro {name}" for name in self.within[f"rule {rule}"])]
        found: set[str] = set()
        while waiting:
            fresh = self.named.get(waiting.pop(), set()) - found
            found |= fresh
            waiting += [f"list {name}" for name in fresh]
        return tuple(sorted(found))

    def condition(self, rule: Rule) -> Node | None:
        """The rule's tree; none if something in it is wrong, which is noted."""
        if rule.condition is None:
            return None
        written = with_exceptions(rule)
        text, parsed = self.parsed(_Text(rule.item, written))
        try:
            tree = self.replaced(parsed, text, rule.name)
        except Rejected as rejected:
            self.problems += rejected.problems
            tree = None
        makes_sense = self.makes_sense(rule, text, parsed)
        return tree if makes_sense else None

    def makes_sense(self, rule: Rule, text: _Text, parsed: Node) -> bool:
        """Check the rule's own text and that of its macros, each fault where it was written and once."""
        own = self.examined(parsed, text)
        faults = list(own)
        for name in sorted(self.within[f"rule {rule.name}"]):
            if name not in self.faults:
                macro, tree = self.own[name]
                self.faults[name] = self.examined(tree, macro)
            found = self.faults[name]
            faults += found
            if found and not rule.skip_unknown and not self.macros[name].reported:
                self.macros[name].reported = True
                self.problems += [
                    self.own[name][0].problem("LOAD_ERR_COMPILE_CONDITION", error.message, error.at) for error in found
                ]
        unknown = [error for error in faults if rule.skip_unknown and isinstance(error, UnknownNameError)]
        if unknown:
            message = f"{unknown[0].message}: the rule is skipped"
            self.problems.append(rule.item.problem("LOAD_UNKNOWN_FILTER", message))
        for error in own:
            if error not in unknown:
                self.problems.append(text.problem("LOAD_ERR_COMPILE_CONDITION", error.message, error.at))
        return not faults

    def examined(self, tree: Node, text: _Text) -> list[ConditionError]:
        """What is wrong with a text; what is only odd is noted."""
        errors, warnings = examine(tree)
        self.problems += [text.problem(warning.code, warning.message, warning.at) for warning in warnings]
        return errors

    def output(self, rule: Rule) -> str | None:
        if rule.output is None:
            return None
        text = rule.output.text
        if "%container.info" in text:
            text = text.replace("%container.info", "")
            self.problems.append(
                rule.item.problem("LOAD_DEPRECATED_ITEM", "%container.info in an output means nothing any more")
            )
        try:
            names = _engine.Format("*" + text).names
        except ValueError as error:
            message, at = output_fault(rule.output.text, str(error))
            if rule.skip_unknown:
                message = f"{message}: the rule is skipped"
                self.problems.append(rule.item.problem("LOAD_UNKNOWN_FILTER", message))
                return None
            file, place = rule.output.place(at)
            output = Location("rule output", "", file.name, rule.output.begins(at))
            expression = Location("rule output expression", "", file.name, place)
            locations = (*rule.item.locations, output, expression)
            self.problems.append(in_content("LOAD_ERR_COMPILE_OUTPUT", message, file.name, place, *locations))
            return None
        for name in names:
            row = tables.fields().get(name)
            if row and "deprecated" in row.flags:
                self.problems.append(rule.item.problem("LOAD_DEPRECATED_ITEM", f"the field {name} is deprecated"))
        return text

    def warn_unused(self) -> None:
        if any(problem.is_error for problem in self.problems):
            return  # what is wrong may use them
        for macro in self.macros.values():
            if not macro.used:
                self.problems.append(macro.item.problem("LOAD_UNUSED_MACRO", "the macro is not used"))
        for entry in self.lists.values():
            if not entry.used:
                self.problems.append(entry.item.problem("LOAD_UNUSED_LIST", "the list is not used"))


def with_exceptions(rule: Rule) -> Source:
    """The condition of a rule as it is parsed: its own, and what exceptions take out of it."""
    assert rule.condition is not None
    texts = [(entry, exceptions.text(entry)) for entry in rule.exceptions.values()]
    if not any(text for _, text in texts):
        return rule.condition
    own, out = rule.condition.first, Source()
    out.write("(", Part(own.file, own.scalar, None))
    out.extend(rule.condition)
    out.write(")", Part(own.file, own.scalar, None))
    for entry, text in texts:
        out.write(text, Part(entry.item.file, entry.place, None))
    return out


def output_fault(text: str, message: str) -> tuple[str, int]:
    """What is wrong with an output, with what was meant, and where in its text."""
    name = message.removeprefix("unknown filter: ")
    if name == message:
        return message, max(len(text) - 1, 0) if message.endswith("'%'") else 0
    found = re.search(rf"%[0-9]*{re.escape(name)}", text)
    field = re.match(r"[a-zA-Z][a-zA-Z0-9_.]*+", name)
    close = unknown(field[0]).partition(";")[2] if field and field[0] not in tables.fields() else ""
    return f"{message};{close}" if close else message, found.start() if found else 0
