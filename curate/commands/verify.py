"""`curate verify`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from curate.commands.app import finish, verb
from curate.commands.context import Context
from curate.coverage import incomplete
from curate.errors import UsageError

if TYPE_CHECKING:
    from curate.store.workspace import Workspace


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
    if forget is not None:
        ctx.say(_forgotten(ctx, forget))
        return
    if rebuild and not repair:
        raise UsageError("verify: --rebuild goes with --repair")
    made = {"rebuilt": _rebuilt(ctx)} if rebuild else {}
    result = _repaired(ctx) if repair and not rebuild else ctx.read(lambda ws: _verified(ctx, ws), "leave")
    wrong = len(result["items"]) > result["unread"]
    finish(ctx, made | result, code=1 if wrong or (result["unread"] and not incomplete(result)) else 0)


def _forgotten(ctx: Context, path: str) -> Mapping[str, Any]:
    from curate.admin.forget import forget

    with ctx.drive("forget", doubts="leave") as ws:
        return forget(ws, path, ctx.user)


def _repaired(ctx: Context) -> dict[str, Any]:
    from curate.admin.verify import verify

    with ctx.open("leave") as ws:
        if ws.catalog.broken_pages():
            return verify(ws, ctx.progress)
    with ctx.drive("verify", doubts="leave") as ws:  # the catalog is sound, and may be written
        ws.said = result = verify(ws, ctx.progress, repair=True)
    return result


def _verified(ctx: Context, ws: "Workspace") -> dict[str, Any]:
    """What is wrong; in a workspace that can be written it is a run, for which what was killed is finished first."""
    from curate.admin.verify import verify

    if ws.borrowed or ws.catalog.broken_pages():
        return verify(ws, ctx.progress)
    ws.close()
    with ctx.drive("verify", obeying=False, doubts="leave") as own:
        own.said = result = verify(own, ctx.progress)
    return result


def _rebuilt(ctx: Context) -> dict[str, Any]:
    from curate.admin import rebuild

    ctx.obey()
    with rebuild.opened(ctx.root, ctx.config) as (ws, wrong), ctx.driven(ws, "rebuild"):
        return rebuild.rebuild(ws, wrong, ctx.engine(ws.config), ctx.progress)
