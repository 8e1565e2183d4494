"""What `tiercel replay --profile` prints: the cost of rules and predicates, on stderr."""

from tiercel.rules.profile import Profile

MOST = 20
# Widths: of a terminal at least, of a file, of all columns but the first.
_NARROWEST, _FILE, _NUMBERS = 80, 160, 50


def show(profile: Profile) -> None:
    """Two tables, each with what costs most."""
    from rich.console import Console
    from rich.table import Table

    # Numbers are what a profile is for: what is narrow, or no terminal, cuts predicates and not them.
    console = Console(stderr=True, highlight=False)
    console.width = max(console.width, _NARROWEST) if console.is_terminal else _FILE
    each = profile.ns / profile.events if profile.events else 0
    console.print(
        f"Profile: {profile.events:,} events that a rule may match, {profile.ns / 1e6:,.1f} ms, {each:,.0f} ns each"
    )
    tests = Table("predicate", "rules", "tests", "held", "ns each", "ms", box=None, header_style="bold", pad_edge=False)
    for predicate in profile.predicates[:MOST]:
        tests.add_row(
            predicate.text,
            f"{predicate.rules}",
            f"{predicate.tests:,}",
            f"{predicate.held:,}",
            f"{predicate.ns / predicate.tests:,.0f}",
            f"{predicate.ns / 1e6:,.2f}",
        )
    rules = Table("rule", "tests", "alone", "matches", "ms", box=None, header_style="bold", pad_edge=False)
    for rule in profile.rules[:MOST]:
        rules.add_row(rule.name, f"{rule.tests:,.0f}", f"{rule.alone:,}", f"{rule.matches:,}", f"{rule.ns / 1e6:,.2f}")
    for table, left in ((rules, len(profile.rules)), (tests, len(profile.predicates))):
        table.columns[0].no_wrap, table.columns[0].max_width = True, console.width - _NUMBERS
        for column in table.columns[1:]:
            column.justify, column.no_wrap = "right", True
        console.print(table)
        if left > MOST:
            console.print(f"… and {left - MOST} more\n")
    console.print("A test that several rules ask is made once, its time shared among them. Counting takes time itself.")
