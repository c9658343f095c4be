"""`curate export` and `curate share`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from curate.commands import pick
from curate.commands.app import finish, verb
from curate.commands.context import Context

if TYPE_CHECKING:
    from curate.store.workspace import Workspace


@verb
def export(ctx: Context, version: str) -> None:
    """Freeze a release: train, val and test, behind the gates."""
    with ctx.drive("export") as ws:
        result = release(ctx, ws, version)
    finish(ctx, result)


def release(ctx: Context, ws: "Workspace", version: str) -> Mapping[str, Any]:
    """Write a release, in the formats that the configuration names; the answer as JSON has it."""
    from curate.release.export import export
    from curate.store import lost

    gone = lost.note(ws)
    return export(ws, version, pick.formats(ws.config), ctx.progress, pick.gate(ws.config, ws.catalog)) | gone


@verb
def share(
    ctx: Context, version: str, to: Annotated[str, typer.Option(help="Who was given it: a name, kept in the catalog.")]
) -> None:
    """Write down who was given a release, so that a takedown can name them. Sends nothing."""
    from curate.release.share import share

    with ctx.drive("share") as ws:
        result = share(ws, version, to)
    ctx.say(result)
