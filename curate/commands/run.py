"""`curate run`: fetch, dedupe, label and export in one go."""

from typing import TYPE_CHECKING

from curate.commands.app import MATCHED, finish, verb
from curate.commands.context import Context

if TYPE_CHECKING:
    pass


@verb
def run(ctx: Context, version: str) -> None:
    """Fetch, dedupe, label and export, as curate.toml says; a version that exists is left as it is."""
    result = ctx.project.run(version)
    finish(ctx, result, code=MATCHED if result.open_incidents else 0)
