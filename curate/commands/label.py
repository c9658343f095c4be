"""`curate label`."""

from typing import TYPE_CHECKING

from curate.commands.app import finish, verb
from curate.commands.context import Context

if TYPE_CHECKING:
    pass


@verb
def label(ctx: Context) -> None:
    """Score, vote, and turn votes into weak labels, with a report on each labelling function."""
    finish(ctx, ctx.project.label())
