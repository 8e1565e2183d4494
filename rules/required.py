"""What rule files require: a version of the rule engine, and of plugins."""

from __future__ import annotations

import re

from tiercel.rules.document import Mapping
from tiercel.rules.items import Item

ENGINE_VERSION = (0, 63, 0)
"""The version of Falco's rule engine whose files we read."""
PLUGINS = {"container": (0, 7, 0)}
"""What files may require; container facts are built in."""

Version = tuple[int, int, int]


def check_engine(item: Item) -> None:
    """Reject the item if it needs a newer engine."""
    written = item.required("required_engine_version")
    wanted = version(written.text)
    if wanted is None:
        item.fail(f"'{written.text}' is no version", written.place)
    if wanted > ENGINE_VERSION:
        ours = ".".join(map(str, ENGINE_VERSION))
        item.fail(f"the rules need engine version {written.text}, this is {ours}", written.place, "LOAD_ERR_VALIDATE")


def check_plugins(item: Item) -> None:
    """Reject the item if neither a plugin that it names nor one of the alternatives is there."""
    for entry in item.sequence("required_plugin_versions"):
        if not isinstance(entry, Mapping):
            item.fail("a required plugin has name and version", entry.place, what="required plugin versions entry")
        within = Item(item.file, entry, "required plugin versions entry", "", item.locations)
        choices = [within]
        for other in within.sequence("alternatives"):
            if not isinstance(other, Mapping):
                what = "required plugin versions alternative"
                within.fail("an alternative has name and version", other.place, what=what)
            choices.append(Item(item.file, other, "required plugin versions alternative", "", within.locations))
        available = [_has_plugin(choice) for choice in choices]
        if not any(available):
            name, wanted = within.required("name").text, within.required("version").text
            within.fail(f"the plugin {name} {wanted} is not available", None, "LOAD_ERR_VALIDATE")


def _has_plugin(entry: Item) -> bool:
    name, written = entry.required("name"), entry.required("version")
    wanted, ours = version(written.text), PLUGINS.get(name.text)
    if wanted is None:
        entry.fail(f"'{written.text}' is no version", written.place)
    return ours is not None and wanted[0] == ours[0] and wanted <= ours


def version(text: str) -> Version | None:
    """`0.57.0`, or `57` for `0.57.0`."""
    if text.isascii() and text.isdigit():
        return (0, int(text[:9]), 0)
    found = re.fullmatch(r"(\d{1,9})\.(\d{1,9})\.(\d{1,9})(?:[-+].*)?", text, re.ASCII)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None
