"""`curate train`."""

from typing import TYPE_CHECKING

from curate.commands.app import finish, verb
from curate.commands.context import Context

if TYPE_CHECKING:
    pass


@verb
def train(ctx: Context, version: str) -> None:
    """Train and measure the baseline classifier on a release."""
    from curate.train.run import lines

    finish(ctx, ctx.project.train(version), lines)
