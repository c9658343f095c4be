"""`curate queue`, `curate adjudicate`, `curate decisions ...`: what people are asked, and what they said."""

from pathlib import Path
from typing import Annotated

import typer

from curate.commands.app import NAME, finish, verb
from curate.commands.context import Context

decisions = typer.Typer(no_args_is_help=True, help="Human labels: import, export.")


@verb
def queue(
    ctx: Context,
    name: Annotated[
        str, typer.Argument(help="uncertain, suspect, conflict, clusters, audit, gold; or one that was drawn.")
    ],
    size: Annotated[int, typer.Option(min=1, help="How many items, in a queue that is drawn.")] = 200,
    axis: Annotated[str | None, typer.Option(help="The axis that people judge (default: the first).")] = None,
    again: Annotated[bool, typer.Option("--again", help="Draw anew, beside what was drawn before.")] = False,
) -> None:
    """Draw what people look at next, or say how far a queue has come. Prints counts, never an id."""
    from curate.admin import configured

    drawn = ctx.project.queue(name, size, axis, again)
    ctx.say(drawn)
    if name in configured.queues(ctx.session.config):
        if not drawn["made"]:
            ctx.note(f"{drawn['queue']} was drawn before, and --size draws nothing anew: `--again` draws another one")
        ctx.note(f"next: `curate review {drawn['queue']} --reviewer NAME` works through it")


@verb
def adjudicate(
    ctx: Context,
    sample: Annotated[str, typer.Argument(help=NAME)],
    label: Annotated[str, typer.Argument(help="The class that it is.")],
    reviewer: Annotated[str, typer.Option(help="Who settles it: somebody who has not judged it.")],
    reason: Annotated[str, typer.Option(help="Why; a precedent for whoever judges the next one.")],
    axis: Annotated[str | None, typer.Option(help="The axis that is settled (default: the first).")] = None,
) -> None:
    """Settle what people contradict each other about: the last word, by somebody else, with a reason."""
    ctx.say(ctx.project.adjudicate(sample, label, reviewer, reason, axis))


@decisions.command("import")
@verb
def decisions_import(ctx: Context, file: Path) -> None:
    """Take human labels from a CSV file: path, url, sha256 or page_id; label, annotator, time, guideline.

    Exit 3 when no sample that it names is here.
    """
    result = ctx.project.import_decisions(file)
    ctx.note("these count as labels; `curate estimate` rests on what `curate queue audit` drew here, and on no others")
    if result["not_found"]:
        ctx.note(f"{result['not_found']} of {result['rows']} rows name no sample that is here; `lines` are their lines")
    finish(ctx, result)


@decisions.command("export")
@verb
def decisions_export(
    ctx: Context,
    file: Path,
    force: Annotated[bool, typer.Option("--force", help="Replace the file where there is one.")] = False,
) -> None:
    """Write every human label to a CSV file that another workspace can import."""
    ctx.said(ctx.project.export_decisions, file, force, asked=False)
