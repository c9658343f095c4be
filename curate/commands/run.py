"""`curate run`: fetch, dedupe, label and export in one go."""

from typing import TYPE_CHECKING, Annotated

import typer

from curate.commands.app import ACKNOWLEDGE, MATCHED, finish, verb
from curate.commands.context import Context

if TYPE_CHECKING:
    pass


@verb
def run(
    ctx: Context,
    version: str,
    acknowledge: Annotated[str | None, typer.Option(help=ACKNOWLEDGE)] = None,
) -> None:
    """Fetch, dedupe, label and export, as curate.toml says; a version that exists is left as it is."""
    result = ctx.project.run(version, acknowledge)
    finish(ctx, result, code=MATCHED if result.open_incidents else 0)
