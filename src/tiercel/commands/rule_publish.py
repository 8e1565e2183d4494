"""`tiercel rules publish`: a rule set for all workers of a fleet."""

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from tiercel.commands import Context
from tiercel.errors import TiercelError


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(publish)


def publish(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Rule files or directories, in load order.")],
    *,
    brokers: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Kafka's bootstrap brokers; default: kafka.brokers.")
    ] = None,
) -> None:
    """Check rule files and give them to all workers, over the topic tiercel.rules.

    What has an error is not published; all errors are told, and the exit status is 1. What the configuration here says
    of rules goes with them: worker.select, priority, append_output, buffer_format_base64, matching and throttle_*.
    """
    from tiercel.commands.rules import load_set
    from tiercel.joints import kafka as joint
    from tiercel.processors.rules_topic import RulesTopic
    from tiercel.rules.sets import RefusedError
    from tiercel.schemas import topics

    obj: Context = context.obj
    settings = obj.settings(kafka={"brokers": brokers}, worker={"rules": [str(file) for file in files]})
    try:
        made = load_set(settings.worker)
        if not made.count:
            raise RefusedError(["there is no enabled rule in these files"])
    except RefusedError as refused:
        for error in refused.errors:
            print(f"error: {error}")
        count = len(refused.errors)
        raise TiercelError(f"not published: {count} error{'' if count == 1 else 's'}") from None
    for warning in made.warnings:
        print(f"warning: {warning}")
    client = settings.kafka.client()
    joint.check(client, [topics.RAW, topics.RULES])
    with closing(RulesTopic(client, joint.topic_id(client, topics.RAW))) as topic:
        again = topic.current == made.version
        topic.publish(made)
    told = "are current already" if again else "published"
    typer.echo(f"{made.count} rules {told}, version {made.version[:12]}", err=True)
