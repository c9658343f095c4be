"""`curate eval`."""

from typing import Annotated

import typer

from curate.commands.app import finish, verb
from curate.commands.context import Context


@verb
def evaluate(
    ctx: Context,
    model: Annotated[
        str, typer.Argument(help="A version, a model's folder, a labeler, FILE.toml, or FILE.csv of scores.")
    ],
    version: Annotated[str, typer.Argument(help="The release, or the folder of one that was hydrated.")],
    split: Annotated[str, typer.Option(help="train, val or test.")] = "test",
    published: Annotated[
        bool, typer.Option("--publish", help="Write URLs, labels, scores and figures, for others to measure against.")
    ] = False,
) -> None:
    """Measure any model on a release, beside its baseline."""
    from curate.evaluate import benchmark, publish, run

    found = ctx.project.evaluate(model, version, split, published)
    lines = publish.lines if published else benchmark.lines if "items" in found else run.lines
    finish(ctx, found, lines, asked=not published)
