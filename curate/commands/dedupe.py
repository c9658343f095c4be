"""`curate dedupe`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from curate.commands import pick
from curate.commands.app import NAME, finish, verb
from curate.commands.context import Context

if TYPE_CHECKING:
    from curate.store.workspace import Workspace


@verb
def dedupe(
    ctx: Context,
    explain: Annotated[
        str | None, typer.Option(metavar="ID", help=f"Only say why a sample is in its group: {NAME}")
    ] = None,
    report: Annotated[bool, typer.Option("--report", help="Also write dedupe.html, its pictures obscured.")] = False,
    clear: Annotated[bool, typer.Option("--clear", help="With --report: clear where all is called safe.")] = False,
    against: Annotated[
        str | None, typer.Option(metavar="DIR|RELEASE", help="Hold this set out: what is near to it leaves releases.")
    ] = None,
    forget: Annotated[str | None, typer.Option(metavar="DIR|RELEASE", help="Hold this set out no longer.")] = None,
) -> None:
    """Find exact and near duplicates: groups, survivors, label conflicts."""
    if explain is not None:
        from curate.dedupe import explain as why

        ctx.say(ctx.read(lambda ws: why.explain(ws, explain)), why.lines)
        return
    from curate.dedupe.held_out import forget as let_go
    from curate.dedupe.held_out import hold_out

    with ctx.drive("dedupe") as ws:
        pick.check(ws.config)
        if forget is not None:
            let_go(ws, forget)
        held = {} if against is None else {"against": hold_out(ws, against, ctx.engine(ws.config), ctx.progress)}
        ws.said = result = group(ctx, ws)
        if report:
            from curate.report.duplicates import report as page

            result = {**result, "report": str(page(ws, ctx.progress, clear))}
    finish(ctx, {**result, **held})


def group(ctx: Context, ws: "Workspace") -> Mapping[str, Any]:
    """Find duplicates, with the embedder that the configuration names; the answer as JSON has it."""
    from curate.dedupe.run import dedupe

    result: Mapping[str, Any] = dedupe(ws, ctx.engine(ws.config), ctx.progress, pick.embedder(ws.config))
    ctx.note_void(result)
    for name in result["held_out_upright"]:
        ctx.note(f"{name}: held out before mirrored, turned and bordered copies were found; give it to --against again")
    return result
