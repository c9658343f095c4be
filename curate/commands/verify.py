"""`curate verify`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from curate.commands.app import finish, verb
from curate.commands.context import Session
from curate.coverage import incomplete
from curate.errors import UsageError

if TYPE_CHECKING:
    from curate.store.workspace import Workspace


@verb
def verify(
    s: Session,
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
        s.say(_forgotten(s, forget))
        return
    if rebuild and not repair:
        raise UsageError("verify: --rebuild goes with --repair")
    made = {"rebuilt": _rebuilt(s)} if rebuild else {}
    result = _repaired(s) if repair and not rebuild else s.read(lambda ws: _verified(s, ws), "leave")
    wrong = len(result["items"]) > result["unread"]
    finish(s, made | result, code=1 if wrong or (result["unread"] and not incomplete(result)) else 0)


def _forgotten(s: Session, path: str) -> Mapping[str, Any]:
    from curate.admin.forget import forget

    with s.drive("forget", doubts="leave") as ws:
        return forget(ws, path, s.user)


def _repaired(s: Session) -> dict[str, Any]:
    from curate.admin.verify import verify

    with s.open("leave") as ws:
        if ws.catalog.broken_pages():
            return verify(ws, s.progress)
    with s.drive("verify", doubts="leave") as ws:  # the catalog is sound, and may be written
        return verify(ws, s.progress, repair=True)


def _verified(s: Session, ws: "Workspace") -> dict[str, Any]:
    """What is wrong; in a workspace that can be written it is a run, for which what was killed is finished first."""
    from curate.admin.verify import verify

    if ws.borrowed or ws.catalog.broken_pages():
        return verify(ws, s.progress)
    ws.close()
    with s.drive("verify", obeying=False, doubts="leave") as own:
        return verify(own, s.progress)


def _rebuilt(s: Session) -> dict[str, Any]:
    from curate.admin import rebuild

    s.obey()
    with rebuild.opened(s.root, s.config) as (ws, wrong), s.driven(ws, "rebuild"):
        return rebuild.rebuild(ws, wrong, s.engine(ws.config), s.progress)
