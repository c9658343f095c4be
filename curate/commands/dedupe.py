"""`curate dedupe`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from curate.commands import pick
from curate.commands.app import NAME, finish, verb
from curate.commands.context import Session

if TYPE_CHECKING:
    from curate.store.workspace import Workspace


@verb
def dedupe(
    s: Session,
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

        s.say(s.read(lambda ws: why.explain(ws, explain)), why.lines)
        return
    from curate.dedupe.held_out import forget as let_go
    from curate.dedupe.held_out import hold_out

    with s.drive("dedupe") as ws:
        pick.check(ws.config)
        if forget is not None:
            let_go(ws, forget)
        held = {} if against is None else {"against": hold_out(ws, against, s.engine(ws.config), s.progress)}
        result = group(s, ws)
        if report:
            from curate.report.duplicates import report as page

            result = {**result, "report": str(page(ws, s.progress, clear))}
    finish(s, {**result, **held})


def group(s: Session, ws: "Workspace") -> Mapping[str, Any]:
    """Find duplicates, with the embedder that the configuration names; the answer as JSON has it."""
    from curate.dedupe.run import dedupe

    result: Mapping[str, Any] = dedupe(ws, s.engine(ws.config), s.progress, pick.embedder(ws.config))
    s.note_void(result)
    for name in result["held_out_upright"]:
        s.note(f"{name}: held out before mirrored, turned and bordered copies were found; give it to --against again")
    return result
