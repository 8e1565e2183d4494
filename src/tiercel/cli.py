"""The command `tiercel`: joins the groups of commands and turns every failure into one line and an exit status.

0 fine, 1 the input was bad or something failed, 2 wrong usage.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from tiercel import __version__
from tiercel.commands import (
    Context,
    capture,
    doctor,
    fleet,
    history,
    live,
    rule_explain,
    rule_list,
    rule_publish,
    rule_tests,
    rules,
    tables,
)
from tiercel.errors import TiercelError

HELP = """Tiercel records the system calls of hosts, matches them against Falco rules and keeps them searchable.

On one host, [bold]tiercel up[/bold] does everything. In a fleet, [bold]collect[/bold] runs on every host,
[bold]process[/bold] and [bold]sink[/bold] beside Kafka and ClickHouse.

Settings come from /etc/tiercel/tiercel.yaml (or $XDG_CONFIG_HOME/tiercel/tiercel.yaml), then the environment
(TIERCEL_KAFKA_BROKERS=…), then flags. Exit status: 0 fine, 1 bad input or failure, 2 wrong usage.
"""

app = typer.Typer(
    name="tiercel", help=HELP, no_args_is_help=True, rich_markup_mode="rich", pretty_exceptions_enable=False
)
for group in (live, fleet, history, capture, tables, doctor):
    group.register(app)
for nouns in (rule_tests, rule_explain, rule_list, rule_publish):
    nouns.register(rules.app)
app.add_typer(rules.app, name="rules", rich_help_panel="Captures")


def _version(wanted: bool) -> None:
    if wanted:
        print(f"tiercel {__version__}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    config: Annotated[
        Path | None, typer.Option("--config", "-c", metavar="FILE", help="Configuration file.", envvar="TIERCEL_CONFIG")
    ] = None,
    log_level: Annotated[
        str | None, typer.Option(metavar="LEVEL", help="debug, info, warning or error; default: info.")
    ] = None,
    log_format: Annotated[str | None, typer.Option(metavar="FORMAT", help="text or json; default: text.")] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Options before the command."""
    context.obj = Context(config, {"level": log_level, "format": log_format})


def main() -> None:
    """Run the command line and exit with its status."""
    try:
        status = app(standalone_mode=False)
        sys.stdout.flush()
    except typer.TyperException as error:  # wrong usage
        where = getattr(getattr(error, "ctx", None), "command_path", "tiercel")
        if text := error.format_message():
            print(f"{where}: {' '.join(text.split())} (see {where} --help)", file=sys.stderr)
        status = error.exit_code
    except TiercelError as error:
        print(f"tiercel: {error}", file=sys.stderr)
        status = 1
    except (KeyboardInterrupt, typer.Abort):
        status = 128 + signal.SIGINT
    except BrokenPipeError:  # `tiercel read … | head`: the reader has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    sys.exit(status)
