"""`curate estimate`."""

from typing import Annotated

import typer

from curate.commands.app import verb
from curate.commands.context import Context


@verb
def estimate(
    ctx: Context,
    axis: Annotated[str | None, typer.Option(help="Of this axis (default: the first).")] = None,
    queue: Annotated[str | None, typer.Option(help="From this audit (default: the newest that was judged).")] = None,
    score: Annotated[
        str | None, typer.Option(metavar="COLUMN|FILE.csv", help="Also of a score: a labeler's, or of a file.")
    ] = None,
    threshold: Annotated[float | None, typer.Option(help="With --score: so much, and more, is called.")] = None,
    of: Annotated[str, typer.Option("--class", help="With --score: the class that it calls.")] = "not_safe",
    plan: Annotated[
        str | None, typer.Option(metavar="recall=0.02", help="What an interval of this half-width costs.")
    ] = None,
) -> None:
    """Say how right the labels are, from the decisions of an audit: each figure with the interval it lies in."""
    from curate.label.estimate.run import lines

    ctx.say(ctx.project.estimate(axis, queue, score, threshold, of, plan), lines, asked=True)
