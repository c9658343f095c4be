"""`curate verify`."""

from typing import Annotated

import typer

from curate.commands.app import finish, verb
from curate.commands.context import Context
from curate.stats.coverage import incomplete


@verb
def verify(
    ctx: Context,
    repair: Annotated[bool, typer.Option("--repair", help="Make again what can be; ask again for lost bytes.")] = False,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="With --repair: make the catalog of what lies beside it.")
    ] = False,
    forget: Annotated[
        str | None, typer.Option(metavar="PATH", help="Only: this was deleted on purpose (releases/1.0.0).")
    ] = None,
) -> None:
    """Re-hash every blob; check catalog, log, journal, tables, releases. Exit 1 when something is wrong."""
    from curate.admin.verify import wrong

    result = ctx.project.verify(repair, rebuild, forget)
    if forget is not None:
        ctx.say(result)
        return
    damaged = wrong(result) or (result["unread"] and not incomplete(result))
    if not (damaged or result["items"] or incomplete(result)):
        ctx.note("nothing is wrong")
    finish(ctx, result, code=1 if damaged else 0, asked=not repair)
