"""`curate label`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from curate.commands import pick
from curate.commands.app import finish, verb
from curate.commands.context import Context

if TYPE_CHECKING:
    from curate.store.workspace import Workspace


@verb
def label(ctx: Context) -> None:
    """Score, vote, and turn votes into weak labels, with a report on each labelling function."""
    from curate.admin.following import following

    with ctx.drive("label") as ws:
        ws.said = result = {**weak_labels(ctx, ws), **following(ws)}
    finish(ctx, result)


def weak_labels(ctx: Context, ws: "Workspace") -> Mapping[str, Any]:
    """Label, with the labelers that the configuration names; the answer as JSON has it."""
    from curate.label.functions import functions_of
    from curate.label.run import label
    from curate.store import lost

    labelers = pick.labelers(ws.config)
    gone = lost.note(ws)
    return label(ws, ctx.engine(ws.config), labelers, functions_of(labelers), ctx.progress) | gone
