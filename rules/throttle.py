"""`throttle` of a rule: how many of its alerts pass in a while; the engine counts the others (engine/src/throttle/)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tiercel import _engine
from tiercel.rules.document import Mapping
from tiercel.rules.items import Item
from tiercel.rules.parse import meant

KEYS = ("per", "burst", "every")
UNITS = {"ms": 1_000_000, "s": 1_000_000_000, "m": 60_000_000_000, "h": 3_600_000_000_000, "d": 86_400_000_000_000}
SPAN = re.compile(rf"([0-9]{{1,9}})({'|'.join(UNITS)})")
SHORTEST, LONGEST = 100 * UNITS["ms"], UNITS["d"]
MAX_BURST, MAX_FIELDS = 1_000_000, 16


@dataclass(frozen=True, slots=True)
class Throttle:
    """Of each combination of `per` the first `burst` alerts of a window of `every` ns pass; a burst of 0: all do."""

    per: tuple[str, ...]
    burst: int
    every: int

    def written(self) -> dict[str, object]:
        """As a rule file has it."""
        unit = max((unit for unit, ns in UNITS.items() if self.every % ns == 0), key=UNITS.__getitem__)
        return {"per": list(self.per), "burst": self.burst, "every": f"{self.every // UNITS[unit]}{unit}"}


def of_settings(burst: int, every_s: int) -> Throttle | None:
    """The default of a configuration: for each rule and host alone."""
    return Throttle((), burst, every_s * UNITS["s"]) if burst else None


def read(item: Item) -> Throttle | None:
    """The throttle of a rule, None if it says nothing of it; a wrong one rejects the rule."""
    node = item.node.items.get("throttle")
    if node is None:
        return None
    if not isinstance(node, Mapping):
        item.fail("'throttle' has the keys per, burst and every", node.place)
    inner = Item(item.file, node, "rule throttle", item.name, item.locations)
    for repeated in node.repeated:
        inner.fail(f"the key '{repeated.text}' stands here twice", repeated.place)
    for key, place in node.keys.items():
        if key not in KEYS:
            inner.fail(f"'throttle' has no key '{key}'{meant(key, KEYS)}", place.place)
    burst = inner.number("burst", -1)
    if not 0 <= burst <= MAX_BURST:
        where = node.items.get("burst", node)
        inner.fail(f"'throttle' needs a 'burst' of 0 (all alerts pass) to {MAX_BURST}", where.place)
    return Throttle(_fields(inner), burst, _span(inner, needed=burst > 0))


def _fields(inner: Item) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(inner.texts("per")))
    if len(names) > MAX_FIELDS:
        inner.fail(f"'per' names more than {MAX_FIELDS} fields", inner.node.items["per"].place)
    for element, name in zip(inner.sequence("per"), inner.texts("per"), strict=True):
        try:
            known = _engine.Format(f"*%{name}").names == [name]
        except ValueError as error:
            inner.fail(f"'per': {error}", element.place, "LOAD_ERR_COMPILE_OUTPUT")
        if not known:
            inner.fail(f"'per': {name!r} is no field", element.place, "LOAD_ERR_COMPILE_OUTPUT")
    return names


def _span(inner: Item, *, needed: bool) -> int:
    if not needed and not inner.has("every"):
        return SHORTEST
    element = inner.required("every")
    found = SPAN.fullmatch(element.text)
    every = int(found[1]) * UNITS[found[2]] if found else 0
    if not SHORTEST <= every <= LONGEST:
        inner.fail(f"'every' is {element.text!r}; write a time of 100ms to 1d: 500ms, 60s, 5m, 1h", element.place)
    return every
