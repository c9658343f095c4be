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
    version: Annotated[str, typer.Argument(help="The release.")],
    split: Annotated[str, typer.Option(help="train, val or test.")] = "test",
) -> None:
    """Measure any model on a release, beside its baseline."""
    from curate.evaluate.run import lines

    finish(ctx, ctx.project.evaluate(model, version, split), lines)
