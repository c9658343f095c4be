"""`curate verify --repair --rebuild`: a catalog made anew of what lies beside it: journal, tombstones, blobs, releases.

What is taken from there is held back until a source names it again (`origin_lost`): until then nobody knows what was
declared of it. Where the journal itself is lost, everything is held until the operator decides, since it said what was.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.config import Config
from curate.contracts import Engine
from curate.dedupe import membership
from curate.engine import each
from curate.errors import StoreError, WitnessError
from curate.features.inspect import FetchedBytes, Inspect, Inspection, digests
from curate.fingerprint import canonical
from curate.media.decode import Bounds
from curate.net.redact import REDACTED
from curate.net.urls import host
from curate.progress import Progress
from curate.records import Sample
from curate.release import removals
from curate.release.reader import HEADER, PROVENANCE, load
from curate.release.redact import removed_from
from curate.removal.receipts import FOLDER
from curate.removal.remove import DAMAGED
from curate.screening.quarantine import hold, open_incident
from curate.store import chain, journal_log, lost
from curate.store.catalog import now
from curate.store.file_digests import keep
from curate.store.tombstones import Blocked
from curate.store.witnesses import CATALOG, EXPORTING, OLDER, REBUILDING, outdated
from curate.store.workspace import Workspace

if TYPE_CHECKING:
    import pyarrow as pa

WRONG = "journal_wrong"  # the catalog's note, while it is made, of what was wrong with the journal at first
MISSING = "rebuild_missing"  # the same, of what the catalog lacked at first: ALL, LATER, or nothing
ALL, LATER = "all", "later"
CHUNK = 16  # samples that a worker looks at in a row
GONE = (
    "the log, and how earlier runs ended", "what failed and why, what sources list (`fetch` asks them again)",
    "groups and labels (`dedupe`, `label` make them again)", "what reviewers skipped, declined and looked at",
    "sets that were held out", "who redacted what when, beyond tombstones.log",
    "by whose keys others' releases and feeds are signed, and how far feeds were read (`hydrate --key`)",
)  # fmt: skip
UNKNOWN = "the journal was lost, which said what is held back"


@dataclass
class Found:
    """What a rebuilt catalog was made of, and what it lacks."""

    counts: dict[str, int] = field(default_factory=dict)
    lacks: list[str] = field(default_factory=list)


@contextmanager
def opened(root: Path, config: Config) -> Iterator[tuple[Workspace, str]]:
    """The workspace with a catalog in any case: the one that is there if it is sound, or an empty one in its place; and
    what is wrong with the journal, as it was found."""
    work = root.resolve() / "work"
    path = work / journal_log.NAME
    broken = len(chain.broken(path))
    wrong = f"{broken} lines of {path.name} are not what was written" if broken else ""
    wrong = wrong if chain.lines(path) else f"{path.name} is missing"
    there = (work / CATALOG).exists() and (work / CATALOG).stat().st_size > 0
    ws = _sound(root, config) if there else None
    if ws is None:
        for one in sorted(work.glob(f"{CATALOG}*")):
            one.replace(work / one.name.replace(CATALOG, DAMAGED))
        ws = Workspace(root, config, anew=True)
    try:
        wrong = wrong or ws.catalog.get(WRONG) or ""  # found by a run that was killed, which wrote to the journal
        missing = ws.catalog.get(MISSING) or _missing(ws)
        with ws.catalog.tx() as db:
            known = (OLDER, REBUILDING, WRONG, wrong, MISSING, missing)
            db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?), (?, ?), (?, ?)", known)
        yield ws, wrong
    finally:
        ws.close()


def _missing(ws: Workspace) -> str:
    """How much the catalog that is there lacks: all, what came after it was copied, or nothing that is known."""
    if ws.catalog.scalar("SELECT 1 FROM samples UNION ALL SELECT 1 FROM candidates LIMIT 1") is None:
        return ALL
    return LATER if outdated(ws) else ""


def _sound(root: Path, config: Config) -> Workspace | None:
    """The workspace with the catalog that is there, or a new one where none is; None where it is damaged."""
    try:
        ws = Workspace(root, config, anew=True)
    except WitnessError:
        return None
    whole = not ws.catalog.seal.other and not ws.catalog.broken_pages()
    if whole and [row[0] for row in ws.catalog.all("PRAGMA quick_check")] == ["ok"]:
        empty = ws.catalog.scalar("SELECT 1 FROM samples UNION ALL SELECT 1 FROM candidates LIMIT 1") is None
        if empty or ws.catalog.standing != "other":
            return ws
    ws.close()
    return None


def rebuild(ws: Workspace, wrong: str, engine: Engine, progress: Progress) -> dict[str, Any]:
    """Add to the catalog what journal, tombstones, blobs and releases know and it does not; what it knows stays.

    For the holder of the driver's seat, who says what is `wrong` with the journal (see `opened`). Killed anywhere, it
    is done again. `lacks` says what cannot come back.
    """
    found = Found()
    fresh = ws.catalog.scalar("SELECT 1 FROM samples UNION ALL SELECT 1 FROM candidates LIMIT 1") is None
    sure = _journal(ws, wrong, found, fresh)
    ws.tombstones.merge()
    _taken_down(ws, found, sure, fresh)
    _blobs(ws, engine, progress, found)
    _releases(ws, found)
    _receipts(ws)
    if not sure:
        _hold_all(ws, found)
    missing = ws.catalog.get(MISSING) or (LATER if found.counts["samples"] else "")
    if missing:
        found.lacks += (
            GONE if missing == ALL else [f"of what came after this catalog was copied: {one}" for one in GONE]
        )
    _finish(ws, found)
    waiting = ws.catalog.scalar("SELECT count(*) FROM withheld WHERE reason = ?", (lost.ORIGIN,))
    then = "`curate fetch` asks the sources what they are; `curate screening rescan` screens what is stored"
    return {**found.counts, "waiting": waiting, "lacks": found.lacks, "next": then}


def _journal(ws: Workspace, wrong: str, found: Found, fresh: bool) -> bool:
    """What people decided, and what is held; whether all of that is known."""
    catalog = ws.catalog
    secret = catalog.journal.secret()
    if fresh and secret is not None and not ws.tombstones.records():
        catalog.rekey(secret)
    if secret == catalog.get("secret"):
        catalog.take_journal()
    else:
        wrong = wrong or f"{catalog.journal.path.name} belongs to another workspace, or its first line is lost"
    for table in ("decisions", "incidents"):
        found.counts[table] = int(catalog.scalar(f"SELECT count(*) FROM {table}"))  # noqa: S608 (constants)
    found.counts["held"] = int(catalog.scalar("SELECT count(*) FROM quarantine"))
    if wrong:
        found.lacks.append(f"decisions, incidents and what was held back, as far as only the journal knew: {wrong}")
    return not wrong


def _taken_down(ws: Workspace, found: Found, sure: bool, fresh: bool) -> None:
    """What receipts, and the removal lists of releases, say was taken down and tombstones.log does not.

    `sure`: the key of their digests is known, so that a receipt keeps its places away, too, and not only its bytes.
    """
    tombstones = ws.tombstones
    gone = fresh and not tombstones.path.exists()
    if tombstones.lost() or tombstones.broken():
        tombstones.rebuild()
        gone = True
    known = {row[0] for row in ws.catalog.iterate_tuples("SELECT receipt FROM tombstones")}
    told = 0
    for said in _said(ws):
        if said["receipt"] in known:
            continue
        told += 1
        if sure:
            keys = [[kind, digest] for kind, named in said["digests"].items() for digest in named]
            record = {key: said[key] for key in ("receipt", "at", "reason")} | {"tombstones": keys}
            there = [one for one in said.get("redacted", ()) if (ws.work / "releases" / one["version"]).is_dir()]
            tombstones.append(record | {"redacted": there})
    blocked = Blocked(ws.catalog)
    for one in removed_from(ws):
        if not blocked.sha256(one["id"]):
            record = {"receipt": one["receipt"], "at": one["at"], "reason": "it is in a release's list of removals"}
            tombstones.append(record | {"tombstones": [["sha256", ws.catalog.digest("sha256", one["id"])]]})
    tombstones.returned()
    if gone or told:
        rest = "their looks (`--block-near`)" if sure else "what no release lists, and every address"
        found.lacks.append(
            f"what was taken down, as far as only tombstones.log knew: {told} receipts are there that it does not name."
            f" What they and the releases' lists say stays away; {rest} may come back"
        )


def _said(ws: Workspace) -> Iterator[dict[str, Any]]:
    """What each receipt says that can be read, in order."""
    for path in sorted((ws.work / FOLDER).glob("*.json")):
        try:
            said: dict[str, Any] = json.loads(path.read_bytes())
            known = {one: said[one] for one in ("receipt", "at", "reason", "digests")}
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if known["receipt"] == path.stem:
            yield said


# -- the bytes -------------------------------------------------------------------------------------------------------


def _blobs(ws: Workspace, engine: Engine, progress: Progress, found: Found) -> None:
    """A sample of every blob that no row names: its bytes passed the gate when they were stored."""
    known = {row[0] for row in ws.catalog.iterate_tuples("SELECT id FROM samples")}
    names = [name for name in ws.blobs.list() if name not in known]
    limits = ws.config.fetch
    work = Inspect(Bounds(limits.max_pixels, limits.min_side, limits.max_frames), pdq=False)
    taken, odd = 0, 0
    with progress.stage("rebuild", len(names)) as step:
        for arrival, answer in each(engine, work, _chunks(ws, names)):
            found_here = answer.sample if isinstance(answer, Inspection) else None
            if found_here is not None and found_here.id == names[arrival.candidate]:
                _sample(ws, found_here)
                taken += 1
            else:
                odd += 1
            step()
    found.counts |= {"samples": taken, "not_taken": odd}
    if odd:
        found.lacks.append(
            f"{odd} blobs that are no whole picture, or not what their names say; they stay where they are"
        )


def _chunks(ws: Workspace, names: list[str]) -> Iterator[list[FetchedBytes]]:
    blocked = Blocked(ws.catalog)
    chunk: list[FetchedBytes] = []
    for number, name in enumerate(names):
        if blocked.sha256(name):
            ws.blobs.delete(name)  # taken down: it came back with older blobs
            continue
        try:
            with ws.blobs.open(name) as blob:
                data = blob.read()
        except (OSError, StoreError):
            continue
        chunk.append(FetchedBytes(number, data, digests(data)))
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _sample(ws: Workspace, one: Sample) -> None:
    with ws.catalog.tx() as db:
        row = (one.id, one.sha1, one.md5, one.bytes, one.media_type, one.width, one.height, one.frames, ws.catalog.run)
        db.execute(_SAMPLE, row)
        held = (one.id, lost.ORIGIN, "found beside the catalog", now(), ws.catalog.run)
        db.execute("INSERT OR IGNORE INTO withheld (sample, reason, detail, at, run) VALUES (?, ?, ?, ?, ?)", held)


_SAMPLE = """
INSERT OR IGNORE INTO samples (id, sha1, md5, bytes, media_type, width, height, frames, run)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


# -- releases --------------------------------------------------------------------------------------------------------


def _releases(ws: Workspace, found: Found) -> None:
    """Each release that is whole, with the splits and groups that its samples have for good, and where they were."""
    count, named = 0, list[tuple[str, str]]()
    for folder in sorted((ws.work / "releases").iterdir()):
        if folder.name.startswith(".") or not (folder / HEADER).is_file():
            continue
        try:
            release = load(folder)
        except StoreError as error:
            found.lacks.append(f"releases/{folder.name}: {error}")
            continue
        count += 1
        with ws.catalog.tx() as db:
            text = (folder / HEADER).read_bytes()
            parent = release.header.get("parent") or {}
            sql = "INSERT OR IGNORE INTO releases (version, sha256, parent, created_at, run) VALUES (?, ?, ?, ?, ?)"
            made = (folder.name, _sha256(text), parent.get("version"), now(), ws.catalog.run)
            db.execute(sql, made)
            db.execute("UPDATE releases SET sha256 = ? WHERE version = ?", (_sha256(text), folder.name))
            for split, table in release.rows.items():
                for sample, group in zip(*(table.column(one).to_pylist() for one in ("id", "group")), strict=True):
                    db.execute("INSERT OR IGNORE INTO released VALUES (?, ?, ?)", (folder.name, sample, split))
                    if db.execute("SELECT 1 FROM samples WHERE id = ?", (sample,)).fetchone():
                        db.execute("INSERT OR IGNORE INTO splits VALUES (?, ?, ?)", (sample, split, ws.catalog.run))
                        named.append((sample, group))
            _places(ws, db, folder)
        keep(ws, f"releases/{folder.name}", f"exports/{folder.name}")
    with ws.catalog.tx() as db:
        membership.remember_groups(db, named)
    for folder in sorted((ws.work / "models").glob("[!.]*")):
        version = folder.name.partition("+")[0]
        if ws.catalog.scalar("SELECT 1 FROM releases WHERE version = ?", (version,)):
            _model(ws, folder, version)
    if count:
        removals.update(ws)
    found.counts["releases"] = count


def _places(ws: Workspace, db: Any, folder: Path) -> None:
    """The URLs that the released samples came from, so that they are not asked again; their sources say the rest."""
    if not (folder / PROVENANCE).is_file():
        return
    import pyarrow.parquet as pq

    names = ["id", "url", "final_url", "fetched_at", "may_depict_minors"]
    table: pa.Table = pq.read_table(folder / PROVENANCE, columns=names)
    for row in table.to_pylist():
        if row["url"] is None or REDACTED in row["url"] or REDACTED in (row["final_url"] or ""):
            continue
        if db.execute("SELECT 1 FROM samples WHERE id = ?", (row["id"],)).fetchone():
            db.execute(_PLACE, row | {"host": host("url", row["url"]), "run": ws.catalog.run})


_PLACE = """
INSERT OR IGNORE INTO candidates (kind, locator, host, state, sample, final_url, fetched_at, may_depict_minors, run)
VALUES ('url', :url, :host, 'stored', :id, :final_url, :fetched_at, coalesce(:may_depict_minors, 0), :run)
"""


def _model(ws: Workspace, folder: Path, version: str) -> None:
    try:
        result = json.loads((folder / "metrics.json").read_bytes())
    except (OSError, ValueError):
        return
    keep(ws, f"models/{folder.name}")
    row = (folder.name, version, json.dumps(result | {"path": str(folder)}, ensure_ascii=False), ws.catalog.run)
    with ws.catalog.tx() as db:
        db.execute("INSERT OR IGNORE INTO models (model, version, result, run) VALUES (?, ?, ?, ?)", row)


def _receipts(ws: Workspace) -> None:
    """Removals that were done, as their receipts have them."""
    for said in _said(ws):
        row = (said["receipt"], said["at"], ws.catalog.run, said["reason"], "done", canonical(said))
        with ws.catalog.tx() as db:
            db.execute("INSERT OR IGNORE INTO removals VALUES (?, ?, ?, ?, ?, ?)", row)
    if (ws.work / FOLDER).is_dir():
        keep(ws, FOLDER)


# -- the end ---------------------------------------------------------------------------------------------------------


def _hold_all(ws: Workspace, found: Found) -> None:
    """One incident for every sample that was not known: what was held among them cannot be told."""
    catalog = ws.catalog
    with catalog.tx() as db:
        known = db.execute("SELECT incident FROM incidents WHERE kind = 'rebuild' AND state = 'open'").fetchone()
        ids = [row[0] for row in db.execute("SELECT sample FROM withheld WHERE reason = ?", (lost.ORIGIN,))]
        if ids:
            detail = {"reason": UNKNOWN}
            incident = int(known[0]) if known else open_incident(catalog, db, "rebuild", "", detail)
            hold(db, (("sample", one) for one in ids), incident, UNKNOWN)
            catalog.append(db, "quarantine", None, {"incident": incident, "kind": "rebuild", "held": len(ids)})
            then = f"`curate screening release {incident} --reason TEXT` lets go of them"
            found.lacks.append(f"which samples were held back: all {len(ids)} are, as incident {incident}; {then}")


def _finish(ws: Workspace, found: Found) -> None:
    catalog = ws.catalog
    with catalog.tx() as db:
        db.execute("DELETE FROM meta WHERE key IN (?, ?, ?, ?)", (OLDER, WRONG, MISSING, EXPORTING))
        catalog.append(db, "rebuild", None, found.counts)
        catalog.journal.renew(db)
    catalog.standing = ""
    if ws.tombstones.lost() or ws.tombstones.broken():
        ws.tombstones.rebuild()
    catalog.reseal()


def _sha256(data: bytes) -> str:
    return digests(data)[0]
