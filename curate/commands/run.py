"""`curate run`: fetch, dedupe, label and export in one go."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from curate.commands import dedupe as dedupe_command
from curate.commands import fetch as fetch_command
from curate.commands import label as label_command
from curate.commands import pick
from curate.commands import release as release_command
from curate.commands.app import MATCHED, finish, verb
from curate.commands.context import Context
from curate.coverage import incomplete
from curate.errors import MatchError

if TYPE_CHECKING:
    from curate.store.workspace import Workspace


@verb
def run(ctx: Context, version: str) -> None:
    """Fetch, dedupe, label and export, as curate.toml says; a version that exists is left as it is."""
    from curate.release.versions import check_version
    from curate.store.holds import untold

    with ctx.drive("run", tells=True) as ws:
        pick.check(ws.config)
        known = {row[0] for row in ws.catalog.all("SELECT version FROM releases")}
        if version not in known:
            check_version(ws, version)  # now, and not after hours
        result: dict[str, Any] = {"fetch": _fetch(ctx, ws), "dedupe": dedupe_command.group(ctx, ws)}
        result["label"] = label_command.weak_labels(ctx, ws)
        nothing = incomplete(result["fetch"]) and not result["fetch"]["stored"]
        if version in known:
            ctx.note(f"release {version} exists and is left as it is; a higher version takes what is new")
        elif not nothing:
            result["export"] = release_command.release(ctx, ws, version)
        waiting, ws.said = untold(ws.catalog), result
    finish(ctx, result, code=MATCHED if waiting else 0)


def _fetch(ctx: Context, ws: "Workspace") -> Mapping[str, Any]:
    """Fetch; where a match ends it, what it did stands under the verb's name, as the rest does."""
    try:
        return fetch_command.run(ctx, ws)
    except MatchError as error:
        raise MatchError(str(error), {"fetch": error.facts}) from error
