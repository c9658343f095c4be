"""`curate report`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from curate.commands.app import verb
from curate.commands.context import Context

if TYPE_CHECKING:
    pass


@verb
def report(
    ctx: Context,
    out: Annotated[Path | None, typer.Option(help="Write it there (default: report.html beside curate.toml).")] = None,
) -> None:
    """Write report.html: one self-contained page."""
    ctx.say({"path": str(ctx.project.report(out))})
