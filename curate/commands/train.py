"""`curate train`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from curate.commands import pick
from curate.commands.app import finish, verb
from curate.commands.context import Context

if TYPE_CHECKING:
    from curate.store.workspace import Workspace


@verb
def train(ctx: Context, version: str) -> None:
    """Train and measure the baseline classifier on a release."""
    from curate.train.run import lines

    with ctx.drive("train") as ws:
        ws.said = result = baseline(ctx, ws, version)
    finish(ctx, result, lines)


def baseline(ctx: Context, ws: "Workspace", version: str) -> Mapping[str, Any]:
    """Train, with the backbone that the configuration names; the answer as JSON has it."""
    from curate.train.run import train

    return train(ws, version, ctx.engine(ws.config), pick.backbone(ws.config), ctx.progress)
