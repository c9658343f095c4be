"""`curate check`."""

from pathlib import Path
from typing import Annotated

import typer

from curate.admin.session import Session
from curate.commands.app import REFUSED, finish, verb
from curate.commands.context import Context


@verb
def check(
    ctx: Context,
    folder: Annotated[Path | None, typer.Argument(metavar="[DIR]", help="Holds <split>/<class>/x.jpg.")] = None,
    splits: Annotated[str, typer.Option(help="Names of the splits, separated by commas.")] = "",
    list_: Annotated[Path | None, typer.Option("--list", help="CSV or Parquet of path, label, split, ...")] = None,
    outside: Annotated[bool, typer.Option("--outside", help="Read what links or paths outside DIR lead to.")] = False,
    report: Annotated[Path | None, typer.Option(help="Write one page, its pictures obscured.")] = None,
) -> None:
    """Ask of a dataset you already have: leaks, duplicates, conflicts, shortcuts. Exit 4 when a leak is found."""
    from curate.checks import dataset
    from curate.checks.page import write_page
    from curate.checks.run import check
    from curate.checks.terminal import lines
    from curate.config import Config

    found = dataset.read(folder, list_, [one.strip() for one in splits.split(",") if one.strip()], outside)
    session = Session(Path(), ctx.quiet, ctx.verbose)
    done = check(dataset.some(found, ctx.limit) if ctx.limit else found, session.engine(Config()), session.progress)
    result = done.facts
    if report is not None:
        result = result | {"report": str(write_page(report, folder or list_, done, session.progress))}
    finish(ctx, result, lines, REFUSED if done.leak else 0)
