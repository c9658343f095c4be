"""`curate run`: fetch, dedupe, label and export in one go."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from curate.commands import dedupe as dedupe_command
from curate.commands import fetch as fetch_command
from curate.commands import label as label_command
from curate.commands import pick
from curate.commands import release as release_command
from curate.commands.app import MATCHED, finish, verb
from curate.commands.context import Session
from curate.coverage import incomplete
from curate.errors import MatchError

if TYPE_CHECKING:
    from curate.store.workspace import Workspace


@verb
def run(s: Session, version: str) -> None:
    """Fetch, dedupe, label and export, as curate.toml says; a version that exists is left as it is."""
    from curate.release.versions import check_version
    from curate.store.holds import untold

    with s.drive("run", tells=True) as ws:
        pick.check(ws.config)
        known = {row[0] for row in ws.catalog.rows("SELECT version FROM releases")}
        if version not in known:
            check_version(ws, version)  # now, and not after hours
        result: dict[str, Any] = {"fetch": _fetch(s, ws), "dedupe": dedupe_command.group(s, ws)}
        result["label"] = label_command.weak_labels(s, ws)
        nothing = incomplete(result["fetch"]) and not result["fetch"]["stored"]
        if version in known:
            s.note(f"release {version} exists and is left as it is; a higher version takes what is new")
        elif not nothing:
            result["export"] = release_command.release(s, ws, version)
        waiting = untold(ws.catalog)
    finish(s, result, code=MATCHED if waiting else 0)


def _fetch(s: Session, ws: "Workspace") -> Mapping[str, Any]:
    """Fetch; where a match ends it, what it did stands under the verb's name, as the rest does."""
    try:
        return fetch_command.run(s, ws)
    except MatchError as error:
        raise MatchError(str(error), {"fetch": error.facts}) from error
