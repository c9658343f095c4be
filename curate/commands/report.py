"""`curate report`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from curate.commands.app import verb
from curate.commands.context import Context
from curate.errors import UsageError

if TYPE_CHECKING:
    from curate.store.workspace import Workspace


@verb
def report(
    ctx: Context,
    out: Annotated[Path | None, typer.Option(help="Write it there (default: report.html beside curate.toml).")] = None,
) -> None:
    """Write report.html: one self-contained page."""
    from curate.report.run import report

    def write(ws: "Workspace") -> Path:
        if ws.borrowed and out is None:
            raise UsageError(f"{ws.root} cannot be written; say where the report goes (--out FILE)")
        return report(ws, ctx.progress, out=out)

    ctx.say({"path": str(ctx.read(write))})
