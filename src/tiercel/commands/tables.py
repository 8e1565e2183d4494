"""`tiercel fields` and `tiercel events`: the two tables, as the engine knows them."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tiercel.schemas.tables import Field

Prefix = Annotated[str, typer.Argument(help="Only names that begin so, such as proc. or fd.", metavar="[PREFIX]")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("fields", rich_help_panel="Reference")(fields)
    app.command("events", rich_help_panel="Reference")(events)


def fields(prefix: Prefix = "", *, as_json: Json = False) -> None:
    """List the fields that conditions and outputs may use: name, type, what it reads, what it is, an example."""
    from rich.console import Console
    from rich.table import Table

    from tiercel.errors import TiercelError
    from tiercel.rules.fields import SOURCES, unknown
    from tiercel.schemas import tables

    rows = [field for field in tables.fields().values() if field.name.startswith(prefix)]
    if not rows and prefix.partition(".")[0] in SOURCES:
        raise TiercelError(unknown(f"{prefix.partition('.')[0]}.*"))
    if not rows:
        raise TiercelError(f"no field begins with {prefix!r}; see `tiercel fields`")
    if as_json:
        for field in rows:
            print(json.dumps(field._asdict(), ensure_ascii=False))
        return
    table = Table("field", "type", "scope", "what it is", "example", box=None, header_style="bold", pad_edge=False)
    for field in rows:
        kind = f"list of {field.type}" if field.list else field.type
        doc, example = (text.replace("[", r"\[") for text in (field.doc, field.example))
        table.add_row(field.name + _argument(field), kind, field.scope, doc, example)
    Console().print(table)


def _argument(field: "Field") -> str:
    return "" if field.arg == "none" else rf" \{field.arg_syntax}" if field.arg_syntax else ""


def events(prefix: Prefix = "", *, as_json: Json = False) -> None:
    """List the events: name, category, and the parameters that evt.arg.NAME reads."""
    from rich.console import Console
    from rich.table import Table

    from tiercel.errors import TiercelError
    from tiercel.schemas import tables

    rows = [event for event in tables.events() if event.name.startswith(prefix)]
    if not rows:
        raise TiercelError(f"no event begins with {prefix!r}; see `tiercel events`")
    if as_json:
        for event in rows:
            params = [{"name": param.name, "type": param.type} for param in event.params]
            line = {"code": event.code, "name": event.name, "category": event.category, "params": params}
            print(json.dumps(line, ensure_ascii=False))
        return
    table = Table("event", "category", "parameters", box=None, header_style="bold", pad_edge=False)
    for event in rows:
        table.add_row(event.name, event.category, ", ".join(f"{param.name} {param.type}" for param in event.params))
    Console().print(table)
