"""`curate train`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from curate.commands import pick
from curate.commands.app import finish, verb
from curate.commands.context import Session

if TYPE_CHECKING:
    from curate.store.workspace import Workspace


@verb
def train(s: Session, version: str) -> None:
    """Train and measure the baseline classifier on a release."""
    from curate.train.run import lines

    with s.drive("train") as ws:
        result = baseline(s, ws, version)
    finish(s, result, lines)


def baseline(s: Session, ws: "Workspace", version: str) -> Mapping[str, Any]:
    """Train, with the backbone that the configuration names; the answer as JSON has it."""
    from curate.train.run import train

    return train(ws, version, s.engine(ws.config), pick.backbone(ws.config), s.progress)
