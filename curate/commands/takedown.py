"""`curate takedown` and `curate share`."""

from typing import Annotated

import typer

from curate.commands.app import NAME, verb
from curate.commands.context import Context
from curate.errors import UsageError
from curate.layouts.folder import shown


@verb
def takedown(
    ctx: Context,
    name: Annotated[str, typer.Argument(metavar="[ID]", help=NAME)] = "",
    reason: Annotated[str, typer.Option(help="Why; kept in the receipt.")] = "",
    with_duplicates: Annotated[
        bool, typer.Option("--with-duplicates", help="Also what was collapsed with it.")
    ] = False,
    block_near: Annotated[
        bool, typer.Option("--block-near", help="Keep its PDQ, so that re-encoded copies stay away too.")
    ] = False,
    upstream_deleted: Annotated[
        bool, typer.Option("--upstream-deleted", help="All that `fetch --sync` found deleted upstream.")
    ] = False,
) -> None:
    """Delete an item for good: bytes, rows, everything made of it, its rows in releases; it does not come back."""
    if bool(name) == upstream_deleted:
        raise UsageError("takedown: name one item, or give --upstream-deleted")
    if upstream_deleted:
        result = ctx.project.takedown_deleted(reason or "deleted upstream")
    else:
        result = ctx.project.takedown(name, reason, with_duplicates, block_near)
    ctx.say(result)
    if result.get("before"):
        ctx.note(f"it was taken down before, and nothing more was removed: {result['receipt']} says what went then")
    if result["left_in_source"]:
        ctx.note(
            "still there, since curate never deletes what a source of yours holds; delete it yourself: "
            + ", ".join(map(shown, result["left_in_source"]))
        )
    if result["reports_removed"]:
        ctx.note(
            "removed, since they showed pictures; make them anew: " + ", ".join(map(shown, result["reports_removed"]))
        )
    for version, names in result["recipients"].items():
        ctx.note(f"tell those who have release {version}: {', '.join(names)}")
