"""`curate label`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from curate.commands import pick
from curate.commands.app import finish, verb
from curate.commands.context import Session

if TYPE_CHECKING:
    from curate.store.workspace import Workspace


@verb
def label(s: Session) -> None:
    """Score, vote, and turn votes into weak labels, with a report on each labelling function."""
    from curate.admin.following import following

    with s.drive("label") as ws:
        result = {**weak_labels(s, ws), **following(ws)}
    finish(s, result)


def weak_labels(s: Session, ws: "Workspace") -> Mapping[str, Any]:
    """Label, with the labelers that the configuration names; the answer as JSON has it."""
    from curate.label.functions import functions_of
    from curate.label.run import label
    from curate.store import lost

    labelers = pick.labelers(ws.config)
    gone = lost.note(ws)
    return label(ws, s.engine(ws.config), labelers, functions_of(labelers), s.progress) | gone
