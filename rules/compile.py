"""From definitions to checked trees: lists substituted, macros replaced, exceptions appended; called by load.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tiercel import _engine
from tiercel.rules import events, exceptions
from tiercel.rules.check import check_condition
from tiercel.rules.fields import UnknownNameError
from tiercel.rules.items import PRIORITIES, List, Macro, Rule
from tiercel.rules.parse import ConditionError, parse
from tiercel.rules.problems import Problem, Rejected
from tiercel.rules.source import Source
from tiercel.rules.tree import And, MacroCall, Node, Not, Or, fold
from tiercel.schemas import tables

SOURCES = ("syscall",)
MAX_SIZE, MAX_HEIGHT = 200_000, 500
MANY_EVENTS = 100


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """A rule whose condition is checked and free of macros. Disabled rules are compiled, too: they can be enabled."""

    name: str
    tree: Node
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


def compile_all(
    lists: dict[str, List], macros: dict[str, Macro], rules: dict[str, Rule], problems: list[Problem]
) -> list[CompiledRule]:
    """Compile every rule; problems are appended."""
    compiler = _Compiler(lists, macros, problems)
    compiler.compile_macros()
    out = []
    for rule in rules.values():
        try:
            compiled = compiler.rule(rule)
        except Rejected as rejected:
            problems.append(rejected.problem)
        else:
            out += [compiled] if compiled else []
    compiler.warn_unused()
    return out


class _Compiler:
    def __init__(self, lists: dict[str, List], macros: dict[str, Macro], problems: list[Problem]) -> None:
        self.lists, self.macros, self.problems = lists, macros, problems
        # Lists by the list, macro or rule whose own text names them.
        self.named: dict[str, set[str]] = {}
        self.values = {name: self.expanded(entry) for name, entry in lists.items()}
        self.trees: dict[str, Node] = {}
        self.own: dict[str, tuple[Source, Node]] = {}
        self.within: dict[str, frozenset[str]] = {}
        self.faults: dict[str, ConditionError | None] = {}
        # By identity; the node is kept so that its identity is not given to another.
        self.sizes: dict[int, tuple[int, int, Node]] = {}

    def expanded(self, entry: List) -> list[str]:
        """Items of a list; an item that names a list defined before stands for that list's items."""
        out: list[str] = []
        for item in entry.items:
            other = self.lists.get(item)
            if other is not None and other is not entry and other.index < entry.visible:
                other.used = True
                self.named.setdefault(f"list {entry.name}", set()).add(item)
                out += [exceptions.quoted(value) for value in other.items]
            else:
                out.append(exceptions.quoted(item))
        return out

    def parsed(self, source: Source, kind: str, name: str) -> tuple[Source, Node]:
        lists = self.named.setdefault(f"{kind} {name}", set())

        def replacement(word: str) -> list[str] | None:
            if word not in self.values:
                return None
            self.lists[word].used = True
            lists.add(word)
            return self.values[word]

        substituted = source.with_words(replacement)
        try:
            return substituted, parse(substituted.text)
        except ConditionError as error:
            raise Rejected(self.problem("LOAD_ERR_COMPILE_CONDITION", error, substituted, kind, name)) from error

    @staticmethod
    def problem(code: str, error: ConditionError, source: Source, kind: str, name: str) -> Problem:
        file, place = source.place(error.at)
        return Problem(code, error.message, file.name, place, kind, name)

    # Macros

    def compile_macros(self) -> None:
        """Parse each macro, then put macros into each other, those within first."""
        for macro in self.macros.values():
            try:
                self.own[macro.name] = self.parsed(macro.condition, "macro", macro.name)
            except Rejected as rejected:
                self.give_up(macro, rejected)
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
        source, tree = self.own[name]
        try:
            self.trees[name] = self.replaced(tree, source, "macro", name)
        except Rejected as rejected:
            self.give_up(self.macros[name], rejected)

    def give_up(self, macro: Macro, rejected: Rejected) -> None:
        """Note the fault of a macro once; whoever uses it is not wrong as well, and the load fails anyhow."""
        self.problems.append(rejected.problem)
        self.trees[macro.name] = And((), 0)
        self.faults[macro.name] = None

    def replaced(self, tree: Node, source: Source, kind: str, name: str) -> Node:
        """The tree with macros put in; notes which they are, those within them included."""
        used: set[str] = set()

        def visit(node: Node, below: list[Node]) -> Node:
            match node:
                case MacroCall():
                    found = self.macro(node, source, kind, name)
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
            self.measure(new, below, source, kind, name)
            return new

        new = fold(tree, visit)
        self.within[f"{kind} {name}"] = frozenset(used)
        return new

    def macro(self, call: MacroCall, source: Source, kind: str, name: str) -> Node:
        tree = self.trees.get(call.name)
        user, used = self.macros.get(name) if kind == "macro" else None, self.macros.get(call.name)
        later = user is not None and used is not None and used.index >= user.visible
        if tree is None or later:
            reason = "it is not defined" if used is None else "it is defined later" if later else "it uses itself"
            error = ConditionError(f"Undefined macro '{call.name}' used in filter: {reason}", call.at)
            raise Rejected(self.problem("LOAD_ERR_VALIDATE", error, source, kind, name))
        self.macros[call.name].used = True
        return tree

    def measure(self, new: Node, below: list[Node], source: Source, kind: str, name: str) -> None:
        """Macros in macros double with each step: bound what a rule becomes, counting every use."""
        sizes = [self.sizes.get(id(node), (1, 1, node)) for node in below]
        size, height = 1 + sum(size for size, *_ in sizes), 1 + max((height for _, height, _ in sizes), default=0)
        if size > MAX_SIZE or height > MAX_HEIGHT:
            error = ConditionError("the condition becomes too large when its macros are put in", new.at)
            raise Rejected(self.problem("LOAD_ERR_COMPILE_CONDITION", error, source, kind, name))
        self.sizes[id(new)] = (size, height, new)

    # Rules

    def rule(self, rule: Rule) -> CompiledRule | None:
        item = rule.item
        if rule.source not in SOURCES:
            message = f"unknown source '{rule.source}': the rule is ignored"
            self.problems.append(item.problem("LOAD_UNKNOWN_SOURCE", message))
            return None
        written = rule.condition
        for entry in rule.exceptions.values():
            if text := exceptions.text(entry):
                wrapped = ("(", ")") if written is rule.condition else ("", "")
                written = written.wrapped(wrapped[0], wrapped[1] + text, entry.item.file, entry.place)
        source, parsed = self.parsed(written, "rule", rule.name)
        tree = self.replaced(parsed, source, "rule", rule.name)
        if not self.makes_sense(rule, source, parsed):
            return None
        output = self.output(rule)
        if output is None:
            return None
        if rule.warn_evttypes and len(events.codes(tree)) > MANY_EVENTS:
            message = "the condition matches too many event types, which costs on every event; restrict evt.type"
            self.problems.append(item.problem("LOAD_NO_EVTTYPE", message))
        return CompiledRule(
            name=rule.name,
            tree=tree,
            output=output,
            desc=rule.desc,
            priority=PRIORITIES[rule.priority],
            tags=tuple(sorted(rule.tags)),
            source=rule.source,
            enabled=rule.enabled,
            file=item.file.name,
            line=item.node.place.line + 1,
            condition=rule.condition.text,
            macros={name: self.trees[name] for name in self.macros_of(rule.name)},
            lists=self.lists_of(rule.name),
            exceptions=tuple(exceptions.shape(entry) for entry in rule.exceptions.values()),
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

    def makes_sense(self, rule: Rule, source: Source, parsed: Node) -> bool:
        """Check the rule's own text and that of its macros, each fault where it was written and once."""
        faults = [self.fault(parsed, source, "rule", rule.name)]
        for name in sorted(self.within[f"rule {rule.name}"]):
            if name not in self.faults:
                own_source, own = self.own[name]
                self.faults[name] = self.fault(own, own_source, "macro", name, report=not rule.skip_unknown)
            faults.append(self.faults[name])
        for error in faults:
            if error is not None and rule.skip_unknown and isinstance(error, UnknownNameError):
                self.problems.append(rule.item.problem("LOAD_UNKNOWN_FILTER", f"{error.message}: the rule is skipped"))
                return False
        if faults[0] is not None:
            raise Rejected(self.problem("LOAD_ERR_COMPILE_CONDITION", faults[0], source, "rule", rule.name))
        return not any(faults)

    def fault(self, tree: Node, source: Source, kind: str, name: str, *, report: bool = True) -> ConditionError | None:
        """What is wrong with a text; warnings, and errors of macros, are noted as problems."""
        try:
            for warning in check_condition(tree):
                odd = ConditionError(warning.message, warning.at)
                self.problems.append(self.problem(warning.code, odd, source, kind, name))
        except ConditionError as error:
            if kind == "macro" and report:
                self.problems.append(self.problem("LOAD_ERR_COMPILE_CONDITION", error, source, kind, name))
            return error
        return None

    def output(self, rule: Rule) -> str | None:
        text = rule.output.text
        if "%container.info" in text:
            text = text.replace("%container.info", "")
            self.problems.append(
                rule.item.problem("LOAD_DEPRECATED_ITEM", "%container.info in an output means nothing any more")
            )
        try:
            names = _engine.Format("*" + text).names
        except ValueError as error:
            file, place = rule.output.place(0)
            if rule.skip_unknown:
                self.problems.append(rule.item.problem("LOAD_UNKNOWN_FILTER", f"{error}: the rule is skipped"))
                return None
            raise Rejected(
                Problem("LOAD_ERR_COMPILE_OUTPUT", str(error), file.name, place, "rule", rule.name)
            ) from error
        for name in names:
            row = tables.fields().get(name)
            if row and "deprecated" in row.flags:
                self.problems.append(rule.item.problem("LOAD_DEPRECATED_ITEM", f"the field {name} is deprecated"))
        return text

    def warn_unused(self) -> None:
        for macro in self.macros.values():
            if not macro.used:
                self.problems.append(macro.item.problem("LOAD_UNUSED_MACRO", "the macro is not used"))
        for entry in self.lists.values():
            if not entry.used:
                self.problems.append(entry.item.problem("LOAD_UNUSED_LIST", "the list is not used"))
