"""Time grows with the text: four times the text must not cost much more than four times as much, however it is made."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator

import pytest

from tests.fuzz import targets

FACTOR = 4 * 2.5
"""Four times the text, and the noise of a busy machine."""
FLOOR = 0.02
"""Seconds below which noise is all there is."""
SIZE = 1 << 14


def numbered(begin: str, each: str, end: str = "") -> Callable[[int], str]:
    """A text of about so many letters: `each` again and again, with its number for `{}`."""

    def text(size: int) -> str:
        return begin + "".join(each.format(number) for number in range(size // (len(each) + 3))) + end

    return text


CONDITIONS: dict[str, Callable[[int], str]] = {
    "or": numbered("proc.name = a", " or proc.name = a{}"),
    "contains": numbered("proc.name = a", " or proc.name contains a{}"),
    "regexes": numbered("proc.name = a", " or proc.name regex 'a[bc]{}'"),
    "units": numbered("(proc.name exists)", " or (fd.num = {} and not fd.num = 2)"),
    "parentheses": lambda size: "(" * (size // 2) + "proc.name exists" + ")" * (size // 2),
    "list": numbered("proc.name in (a", ", a{}", ")"),
    "numbers": numbered("fd.num in (1", ", {}", ")"),
    "paths": numbered("fd.name pmatch (/a", ", /a/{}", ")"),
    "anyof": numbered("proc.name contains anyof (a", ", a{}", ")"),
    "quoted": lambda size: "proc.name = '" + "a" * size + "'",
    "escapes": lambda size: "proc.name = '" + "\\'" * (size // 2) + "'",
    "no end": lambda size: "proc.name = '" + "\\'" * (size // 2),
    "not": lambda size: "not " * (size // 4) + "proc.name exists",
    "not(": lambda size: "not(" * (size // 4) + "proc.name exists",
    "word": lambda size: "a" * size,
    "dots": lambda size: "a" + ".a" * (size // 2) + ".",
    "argument": lambda size: "proc.env[" + "a" * size + "] = a",
    "calls": lambda size: "tolower(" * (size // 8) + "proc.name",
    "blanks": lambda size: "proc.name exists" + " \t\n\r" * (size // 4) + "x",
    "lists": lambda size: "proc.name in (names" + ", names" * (size // 7) + ")",
    "pattern": lambda size: "proc.name regex '" + "(a*)*" * (size // 5) + "'",
    "no fields": numbered("proc.nmae = a", " or proc.nmae{} = a"),
    "no numbers": numbered("fd.num = a", " or fd.num = a{}"),
    "no macros": numbered("m", " or m{}"),
}


@pytest.fixture(autouse=True)
def past() -> Iterator[None]:
    """What other tests left on the heap is not gone through by the collections of these."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def seconds(work: Callable[[], None]) -> float:
    """Processor time, the best of three if it is short."""
    found: list[float] = []
    while not found or (len(found) < 3 and found[0] < 0.3):
        begun = time.process_time()
        work()
        found.append(time.process_time() - begun)
    return min(found)


def is_linear(work: Callable[[str], None], text: Callable[[int], str], size: int) -> None:
    """Compare what a size costs with what four times as much does."""
    small, large = text(size), text(4 * size)
    work(small[:1000])
    once, four = seconds(lambda: work(small)), seconds(lambda: work(large))
    assert four < max(once, FLOOR) * FACTOR, f"{once:.3f} s, of four times as much {four:.3f} s"


@pytest.mark.parametrize("shape", CONDITIONS)
def test_conditions(shape: str) -> None:
    is_linear(targets.condition, CONDITIONS[shape], SIZE)


@pytest.mark.parametrize("shape", ["or", "parentheses", "list", "quoted", "not"])
def test_a_condition_of_a_megabyte(shape: str) -> None:
    """Ten times what it takes on a normal machine is allowed."""
    begun = time.process_time()
    targets.condition(CONDITIONS[shape](1 << 20))
    assert time.process_time() - begun < 60


def rules(count: int) -> str:
    """A file of so many rules that share lists and macros, each with something of its own."""

    def items() -> Iterator[str]:
        yield "- list: trusted\n  items: [dpkg, apt, systemd]\n"
        yield "- macro: opened\n  condition: evt.type in (open, openat)\n"
        for number in range(count):
            own = (
                f"fd.name startswith /srv/{number}/",
                f"proc.name in (trusted, tool{number})",
                f"fd.sport = {number}",
            )
            yield f"- rule: r{number}\n  desc: d\n  condition: opened and {own[number % 3]}\n"
            yield "  output: r (file=%fd.name)\n  priority: INFO\n"

    return "".join(items())


def wrong(count: int) -> str:
    """The same, each rule with a macro that does not exist."""
    macros = "".join(f"- macro: m{number}\n  condition: evt.num = {number}\n" for number in range(count))
    return macros + rules(count).replace("opened and", "opend and")


def test_ten_thousand_rules() -> None:
    is_linear(targets.rule_file, rules, 2_500)


def test_thousands_of_rules_that_are_wrong() -> None:
    is_linear(targets.rule_file, wrong, 1_000)


@pytest.mark.parametrize("each", ["%proc.aname[{}] ", "%fd.num ", "%toupper(proc.name)", "% ", "(%tolower("])
def test_outputs(each: str) -> None:
    is_linear(targets.output, numbered("", each), SIZE * 4)
