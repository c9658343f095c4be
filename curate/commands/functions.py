"""`curate functions`."""

from pathlib import Path
from typing import Annotated

import typer

from curate.commands.app import verb
from curate.commands.context import Context
from curate.errors import UsageError


@verb
def functions(
    ctx: Context,
    file: Annotated[
        Path | None, typer.Option("--try", metavar="FILE.py", help="What the functions of this file would vote.")
    ] = None,
    size: Annotated[int | None, typer.Option(min=1, help="With --try: ask about N samples (default: 10,000).")] = None,
    axis: Annotated[str | None, typer.Option(help="Without --try: of this axis (default: the first).")] = None,
) -> None:
    """Say how labelling functions fare, as `label` found; or try new ones, in seconds, without a run."""
    if file is None:
        if size is not None:
            raise UsageError("functions: --size goes with --try")
        found = ctx.project.functions(axis)
        ctx.say({"functions": found.astype(object).where(found.notna(), None).to_dict("records")}, asked=True)
        return
    if axis is not None:
        raise UsageError("functions: with --try the file says its axis (`AXIS = ...`)")
    from curate.label.trying import lines

    ctx.say(ctx.project.try_functions(file, size), lines, asked=True)
