"""`curate train`."""

from typing import Annotated

import typer

from curate.commands.app import finish, verb
from curate.commands.context import Context


@verb
def train(
    ctx: Context,
    version: str,
    backbone: Annotated[str | None, typer.Option(help="Another network than [train] backbone, such as nsfwjs.")] = None,
    axis: Annotated[str | None, typer.Option(help="The axis whose labels are learnt (default: the first).")] = None,
) -> None:
    """Train and measure the baseline classifier on a release."""
    from curate.train.run import lines

    finish(ctx, ctx.project.train(version, backbone, axis), lines)
