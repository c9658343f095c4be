"""`curate predict`."""

import csv as tables
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from curate.admin.session import Session
from curate.commands.app import INCOMPLETE, verb
from curate.commands.context import Context
from curate.layouts.folder import shown
from curate.layouts.table import guarded
from curate.project import Project
from curate.store.model_files import withdrawn
from curate.store.workspace import find_root, here


@verb
def predict(
    ctx: Context,
    model: Annotated[str, typer.Argument(help="A model's folder, or its name in this workspace, such as 1.0.0.")],
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="Pictures, folders, or - for a list on stdin.")],
    csv: Annotated[bool, typer.Option("--csv", help="A table, where there would be a JSON object a line.")] = False,
) -> None:
    """What a model says of pictures: probabilities, and safe, review or block. Keeps nothing. Exit 3 when all fail."""
    from curate.evaluate.predict import found

    root = ctx.workspace or find_root(here()) or Path.cwd()
    project = Project(Session(root, ctx.quiet, ctx.verbose))
    files = islice(found(paths, map(os.fsdecode, sys.stdin.buffer if sys.stdin else ())), ctx.limit)
    say = partial(_table, ctx) if csv else lambda classes: ctx.line
    result = project.predict(model, files, None if ctx.json else say)
    if ctx.json:
        ctx.say(result)
    if result["thresholds"]["review"] is None:
        ctx.note("this model promises no recall (thresholds.json): nothing is called safe")
    for said in withdrawn(result):
        ctx.note(f"this model {said}")
    ctx.note(f"{result['looked_at']} of {result['of']} files looked at")
    if not result["looked_at"]:
        raise typer.Exit(INCOMPLETE)


def _table(ctx: Context, classes: Sequence[str]) -> Callable[[Mapping[str, Any]], None]:
    """What prints a row as CSV, below a heading."""
    writer = tables.writer(ctx.out or sys.stdout, lineterminator="\n")
    writer.writerow(["path", "decision", "reason", "detail", *(f"p_{name}" for name in classes)])

    def row(one: Mapping[str, Any]) -> None:
        said = one.get("probabilities", {})
        rest = (one.get(key, "") for key in ("decision", "reason", "detail"))
        writer.writerow([guarded(shown(one["path"])), *rest, *(said.get(name, "") for name in classes)])

    return row
