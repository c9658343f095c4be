"""`curate verify --forget PATH`: what was deleted on purpose is missed no longer; that it was there stays on record."""

from typing import Any

from curate.errors import UsageError
from curate.store.catalog import now
from curate.store.workspace import Workspace

KINDS = ("releases", "exports", "models", "receipts")


def forget(ws: Workspace, path: str, by: str) -> dict[str, Any]:
    """Forget a release, an export, a model or a file of one (a path below `work/`) that is not there any more.

    A forgotten release's version is not given to another one. Logged. Raises UsageError for what is there, or was never
    there.
    """
    name = path.strip().rstrip("/").removeprefix("./").removeprefix("work/")
    top, _, rest = name.partition("/")
    if top not in KINDS or not rest or ".." in name.split("/"):
        raise UsageError(f"forget {path}: give a path below work/ such as releases/1.0.0; {', '.join(KINDS)}")
    there = ws.work / name
    if there.is_file() or (there.is_dir() and any(there.iterdir())):
        raise UsageError(f"forget {name}: it is there; delete it first, if that is what you want")
    version = rest if top == "releases" and "/" not in rest else None
    sha256 = ws.catalog.scalar("SELECT sha256 FROM releases WHERE version = ?", (version,))
    known = ws.catalog.scalar("SELECT 1 FROM files WHERE path = ? OR path GLOB ? LIMIT 1", (name, f"{name}/*"))
    if sha256 is None and known is None:
        raise UsageError(f"forget {name}: the catalog knows of no such thing")
    with ws.catalog.tx() as db:
        db.execute("DELETE FROM files WHERE path = ? OR path GLOB ?", (name, f"{name}/*"))
        if sha256 is not None:
            for table in ("shares", "released", "releases"):
                db.execute(f"DELETE FROM {table} WHERE version = ?", (version,))  # noqa: S608 (constants)
        if top == "models":
            db.execute("DELETE FROM models WHERE model = ?", (rest,))
        db.execute("INSERT OR REPLACE INTO forgotten VALUES (?, ?, ?, ?)", (name, sha256, by, now()))
        ws.catalog.append(db, "forget", None, {"path": name, "sha256": sha256})
    return {"forgotten": name}
