"""`curate share`: who was given a release, and so must be told what is taken out of it. Nothing is sent."""

from typing import Any

from curate.errors import UsageError
from curate.options import is_said
from curate.release.versions import check_released
from curate.store.catalog import now
from curate.store.workspace import Workspace


def share(ws: Workspace, version: str, name: str) -> dict[str, Any]:
    """Note that `name` was given release `version`; the first time counts. Raises UsageError for no such release."""
    check_released(ws, version)
    if not is_said(name):
        raise UsageError("share: say to whom (--to NAME, to=NAME)")
    with ws.catalog.tx() as db:
        row = (version, name.strip(), now(), ws.catalog.run)
        db.execute("INSERT OR IGNORE INTO shares VALUES (?, ?, ?, ?)", row)
        ws.catalog.append(db, "share", version, {})
    rows = ws.catalog.all("SELECT name FROM shares WHERE version = ? ORDER BY at, name", (version,))
    return {"version": version, "recipients": [row[0] for row in rows]}
