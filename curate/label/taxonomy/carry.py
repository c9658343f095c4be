"""What becomes of people's decisions when the taxonomy changes: carried over, or queued to be decided anew.

All of it is one transaction: whatever ends the process, it was done or it was not, and the same again adds nothing.
Nothing is changed or removed: decisions of earlier versions stay as they are, and so do releases.
"""

import hashlib
import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from curate.errors import UsageError
from curate.fingerprint import canonical
from curate.label import table
from curate.label.taxonomy.mapping import Remap, check_former
from curate.options import suggest
from curate.records import UNSURE, Axis
from curate.store import views
from curate.store.catalog import later, now
from curate.store.taxonomies import CARRIED, Targets, changes
from curate.store.workspace import Workspace

KIND = "relabel"  # of the queue
SPLIT, DROPPED = "split", "dropped"  # its strata
MOST = 2  # people who decide anew, where several did before


def carry(ws: Workspace, remap: Remap) -> dict[str, Any]:
    """Carry over what the mapping allows, and queue the rest; the counts.

    A reviewer's last word on a sample is carried where the mapping names one class for it, and marked so (`shown`).
    Where a word of anybody on the sample cannot be carried, the sample is queued, unless it was settled; and the
    others' are carried only if they come to what all said before, so that no tie becomes a label. `unsure` stays so.
    Who judged a sample under the new taxonomy is not overruled by what the same person said before. Raises UsageError
    for a class without a word on it, a second mapping between two versions, or versions that lead back to themselves.
    """
    origin = _origin(ws, remap)
    _check(ws, remap, origin)
    found = [_moved(ws, axis, origin, remap.axes.get(axis.name, {})) for axis in ws.config.taxonomy.axes]
    totals = Counter[str]()
    queues = dict[str, int]()
    with ws.catalog.tx() as db:
        row = (remap.version, origin, remap.reason, _said(remap), now(), ws.catalog.run)
        db.execute("INSERT OR IGNORE INTO relabels VALUES (?, ?, ?, ?, ?, ?)", row)
        for one in found:
            totals += _record(ws, db, one)
            if one.queued or _drawn(db, one.axis, remap.version):
                queues |= _queue(ws, db, one, origin)
        ws.catalog.append(db, KIND, None, {"from": origin, "to": remap.version, **totals})
    others = Counter(row[0] for row in ws.catalog.all("SELECT taxonomy FROM in_force"))
    left = {name: n for name, n in sorted(others.items()) if name not in (origin, remap.version)}
    names = ("carried", "known", "taken_back", "not_carried", "precedents")
    counts = {name: totals[name] for name in names}
    return {"from": origin, "to": remap.version, "reason": remap.reason, **counts, "queues": queues, "others": left}


# -- what is asked for -------------------------------------------------------------------------------------------------


def _origin(ws: Workspace, remap: Remap) -> str:
    """The version that is carried over: the one that is named, else the one other that people decided under, else the
    one that the labels in force are of."""
    sql = "SELECT taxonomy, count(*) FROM in_force WHERE taxonomy <> ? GROUP BY taxonomy ORDER BY taxonomy"
    known = {row[0]: row[1] for row in ws.catalog.all(sql, (remap.version,))}
    if remap.origin is not None:
        if known and remap.origin not in known:
            raise UsageError(f"from: nobody has decided anything under taxonomy {remap.origin}; {suggest('', known)}")
        return remap.origin
    if len(known) > 1:
        some = ", ".join(f"{name} ({n:,} decisions)" for name, n in known.items())
        raise UsageError(f'from: there are decisions of several versions: {some}; say which (from = "{max(known)}")')
    labelled = {str(said["taxonomy"]) for said in _reports(ws).values() if "taxonomy" in said} - {remap.version}
    if not (known or labelled):
        raise UsageError('from: nothing here is of an earlier taxonomy; say which version it is from (from = "1")')
    return min(known or labelled)


def _reports(ws: Workspace) -> dict[str, dict[str, Any]]:
    """By axis the report of the labels in force."""
    return {row[0]: json.loads(row[1]) for row in ws.catalog.all("SELECT axis, report FROM labellings")}


def _check(ws: Workspace, remap: Remap, origin: str) -> None:
    if any(remap.version in (one.origin, one.taxonomy) for one in changes(ws.catalog, origin)):
        raise UsageError(
            f"version: taxonomy {remap.version} led to {origin} before; a mapping back would go in a circle; give the"
            " new policy a version of its own"
        )
    sql = "SELECT axes FROM relabels WHERE taxonomy = ? AND origin = ?"
    if (before := ws.catalog.scalar(sql, (remap.version, origin))) is not None and before != _said(remap):
        raise UsageError(
            f"version: decisions came from taxonomy {origin} to {remap.version} by another mapping before; give the"
            " new policy a version of its own"
        )
    check_former(remap, _former(ws, origin), ws.config.taxonomy)
    sql = """
    SELECT axis, label, count(*) FROM (SELECT axis, label, taxonomy FROM in_force UNION ALL
        SELECT axis, label, taxonomy FROM precedents) WHERE taxonomy = ? AND label <> ? GROUP BY axis, label
    """
    axes = {axis.name for axis in ws.config.taxonomy.axes}
    for axis, label, n in ws.catalog.all(sql, (origin, UNSURE)):
        if axis in axes and label not in remap.axes.get(axis, {}):
            raise UsageError(
                f"axes.{axis}: no word on '{label}', which {n:,} decisions name; add {label} = \"CLASS\", a list of"
                " classes (decided anew), or false (dropped)"
            )


def _said(remap: Remap) -> str:
    return canonical({axis: {old: list(new) for old, new in each.items()} for axis, each in remap.axes.items()})


def _former(ws: Workspace, origin: str) -> dict[str, Axis]:
    """The axes of an earlier version, as the labels in force or the newest release under it say; else unknown."""
    found = {
        name: Axis(name, tuple(said["classes"]), tuple(said["safe"]), ())
        for name, said in _reports(ws).items()
        if said.get("taxonomy") == origin and "safe" in said
    }
    for row in ws.catalog.all("SELECT version FROM releases ORDER BY created_at"):
        try:
            header = json.loads((ws.work / "releases" / row[0] / "release.json").read_bytes())["taxonomy"]
        except (OSError, ValueError, KeyError):
            continue
        if header["version"] == origin:
            each = (Axis(one["name"], tuple(one["classes"]), tuple(one["safe"]), ()) for one in header["axes"])
            found |= {axis.name: axis for axis in each}
    return found


# -- what becomes of each ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Moved:
    """On one axis: decisions to be carried (rows of the old version with their new label), what was carried and is no
    more, and the samples to be decided anew with their stratum and by how many."""

    axis: Axis
    carried: Sequence[tuple[sqlite3.Row, str]]
    known: int
    undone: Sequence[sqlite3.Row]
    queued: Mapping[str, tuple[str, int]]
    not_carried: int
    precedents: Sequence[tuple[sqlite3.Row, str]] = field(default=())


_OURS = "SELECT * FROM in_force WHERE axis = ? AND taxonomy = ? ORDER BY decision"
_OWN = "SELECT DISTINCT sample, reviewer FROM decisions WHERE axis = ? AND taxonomy = ? AND shown <> ?"


def _moved(ws: Workspace, axis: Axis, origin: str, each: Targets) -> _Moved:
    catalog, version = ws.catalog, ws.config.taxonomy.version
    last: defaultdict[str, dict[str, sqlite3.Row]] = defaultdict(dict)
    for row in catalog.all(_OURS, (axis.name, origin)):
        if row["carried_from"] is None:
            last[row["sample"]][row["reviewer"]] = row
    settled = {row["sample"]: row for row in catalog.all(_RULED, (axis.name, origin))}
    rulings = [(row, new) for row in settled.values() if (new := _new(each, row["label"])) is not None]
    sure = {row["sample"] for row, _ in rulings}
    wanted, queued, lost = dict[tuple[str, str], tuple[sqlite3.Row, str]](), dict[str, tuple[str, int]](), 0
    for sample, said in last.items():
        kept = _kept(said, each, axis)
        wanted |= {(sample, who): one for who, one in kept.items()}
        lost += len(said) - len(kept)
        if len(kept) < len(said) and sample not in sure:
            queued[sample] = _stratum([row for who, row in said.items() if who not in kept], each)
    for sample, row in settled.items():
        if sample not in sure and sample not in queued:
            queued[sample] = _stratum([row], each)
    own = {(row[0], row[1]) for row in catalog.all(_OWN, (axis.name, version, CARRIED))}
    there = {
        (row["sample"], row["reviewer"]): row
        for row in catalog.all(_OURS, (axis.name, version))
        if row["shown"] == CARRIED
    }
    stale = [row for key, row in there.items() if key not in wanted or wanted[key][1] != row["label"]]
    fresh = [one for key, one in wanted.items() if key not in own and (key not in there or there[key] in stale)]
    fresh.sort(key=lambda one: int(one[0]["decision"]))
    return _Moved(axis, fresh, len(wanted) - len(fresh), stale, queued, lost, rulings)


_RULED = "SELECT * FROM precedents WHERE axis = ? AND taxonomy = ? ORDER BY precedent"


def _new(each: Targets, label: str) -> str | None:
    """The one class that an answer became; None for none or several."""
    if label == UNSURE:
        return UNSURE
    found = each.get(label, ())
    return found[0] if len(found) == 1 else None


def _kept(said: Mapping[str, sqlite3.Row], each: Targets, axis: Axis) -> dict[str, tuple[sqlite3.Row, str]]:
    """By reviewer what is carried of one sample, with the new label."""
    found = {who: (row, new) for who, row in said.items() if (new := _new(each, row["label"])) is not None}
    if len(found) == len(said):
        return found
    before = views.consensus(Counter(row["label"] for row in said.values()), tuple(each))
    after = views.consensus(Counter(new for _, new in found.values()), axis.classes)
    same = before is not None and after is not None and _new(each, before.label) == after.label
    return found if same else {}


def _stratum(rows: Sequence[sqlite3.Row], each: Targets) -> tuple[str, int]:
    split = any(len(each.get(row["label"], ())) > 1 for row in rows)
    return SPLIT if split else DROPPED, min(MOST, len(rows))


# -- what is written ---------------------------------------------------------------------------------------------------


_INSERT = """
INSERT OR IGNORE INTO decisions (sample, axis, taxonomy, reviewer, label, decided_at, shown, guideline, seconds, queue,
    undoes, run, media)
VALUES (:sample, :axis, :taxonomy, :reviewer, :label, :decided_at, :shown, :guideline, NULL, :queue, :undoes, :run,
    :media)
"""
_RULING = """
INSERT OR IGNORE INTO precedents (sample, axis, taxonomy, label, reviewer, reason, guideline, decided_at, run)
VALUES (:sample, :axis, :taxonomy, :label, :reviewer, :reason, :guideline, :decided_at, :run)
"""
_COPIED = ("sample", "axis", "reviewer", "decided_at", "guideline", "queue", "media")


def _record(ws: Workspace, db: sqlite3.Connection, found: _Moved) -> Counter[str]:
    """Append what is carried, and take back what is no more; in the order in which it was said."""
    version = ws.config.taxonomy.version
    said = {"taxonomy": version, "shown": CARRIED, "run": ws.catalog.run}
    for row in found.undone:
        copied = {key: row[key] for key in _COPIED} | {"label": row["label"], "decided_at": later(row["decided_at"])}
        db.execute(_INSERT, copied | said | {"undoes": row["decision"]})
    for row, label in found.carried:
        copied = {key: row[key] for key in _COPIED} | said | {"label": label, "undoes": None}
        if not db.execute(_INSERT, copied).rowcount:  # it was carried once, and taken back
            db.execute(_INSERT, copied | {"decided_at": later(row["decided_at"])})
    rulings = 0
    for row, label in found.precedents:
        reason = f"{row['reason']} (taxonomy {row['taxonomy']}: {row['label']})"
        named = ("sample", "axis", "reviewer", "guideline", "decided_at")
        ruling = {key: row[key] for key in named} | {"label": label, "reason": reason}
        rulings += max(0, db.execute(_RULING, ruling | {"taxonomy": version, "run": ws.catalog.run}).rowcount)
    return Counter(
        carried=len(found.carried), known=found.known, taken_back=len(found.undone), not_carried=found.not_carried,
        precedents=rulings,
    )  # fmt: skip


def _drawn(db: sqlite3.Connection, axis: Axis, version: str) -> str | None:
    """The queue of this version, where there is one."""
    sql = "SELECT queue FROM queues WHERE kind = ? AND axis = ? AND taxonomy = ?"
    row = db.execute(sql, (KIND, axis.name, version)).fetchone()
    return None if row is None else str(row[0])


def _queue(ws: Workspace, db: sqlite3.Connection, found: _Moved, origin: str) -> dict[str, int]:
    """Draw the queue, or bring the one that is there up to date: what was judged in it stays; its name and size."""
    axis, version = found.axis, ws.config.taxonomy.version
    known = [row[0] for row in db.execute("SELECT queue FROM queues WHERE kind = ? AND axis = ?", (KIND, axis.name))]
    stem = KIND if axis == ws.config.taxonomy.first else f"{KIND}-{axis.name}"
    name = _drawn(db, axis, version) or (f"{stem}-{len(known) + 1}" if known else stem)
    judged = {row[0] for row in db.execute("SELECT DISTINCT sample FROM decisions WHERE queue = ?", (name,))}
    there = {row[0] for row in db.execute("SELECT sample FROM queue_items WHERE queue = ?", (name,))}
    gone = [(name, one) for one in there - found.queued.keys() - judged]
    stored = {row[0] for row in db.execute("SELECT id FROM samples")}
    items = [one for one in found.queued if one in stored and one not in there]
    size = len(there) - len(gone) + len(items)
    detail = {
        "items": size, "strata": _strata(found.queued), "gold": 0, "left_out": {},
        "options": {"from": origin}, "frame": None, "labelling": None,
    }  # fmt: skip
    head = (name, KIND, axis.name, version, ws.config.review.seed, False, True, canonical(detail), now())
    db.execute("INSERT OR IGNORE INTO queues VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (*head, ws.catalog.run))
    db.execute("UPDATE queues SET detail = ? WHERE queue = ? AND detail <> ?", (head[7], name, head[7]))
    db.executemany("DELETE FROM queue_items WHERE queue = ? AND sample = ?", gone)
    rows = (
        (name, one, place, found.queued[one][0], None, found.queued[one][1], True, False)
        for place, one in enumerate(_mixed(name, items), len(there))
    )
    db.executemany("INSERT INTO queue_items VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
    return {name: size}


def _strata(queued: Mapping[str, tuple[str, int]]) -> dict[str, dict[str, int]]:
    return {name: {"n": n} for name, n in sorted(Counter(one for one, _ in queued.values()).items())}


def _mixed(name: str, ids: Iterable[str]) -> list[str]:
    return sorted(ids, key=lambda one: hashlib.sha256(f"{name}\0{one}".encode()).digest())


# -- what a release says of it -----------------------------------------------------------------------------------------


def history(ws: Workspace) -> list[dict[str, Any]]:
    """Every mapping that led to the taxonomy in force, the last one first, for a release's header: what changed, why,
    and how many decisions in force were carried over."""
    version = ws.config.taxonomy.version
    sql = "SELECT count(*) FROM in_force WHERE taxonomy = ? AND shown = ?"
    return [
        {
            "from": one.origin, "to": one.taxonomy, "reason": one.reason,
            "axes": {axis: {old: list(new) for old, new in each.items()} for axis, each in one.axes.items()},
            "carried": ws.catalog.scalar(sql, (one.taxonomy, CARRIED)),
        }
        for one in changes(ws.catalog, version)
    ]  # fmt: skip


def called(ws: Workspace) -> dict[str, dict[str, str]]:
    """By axis the weak label in force of each sample that has one, to be compared with what comes after."""
    found = {}
    for axis in ws.config.taxonomy.axes:
        weak = table.columns(ws, axis)
        pairs = () if weak is None else zip(weak.ids.to_pylist(), weak.labels.to_pylist(), strict=True)
        found[axis.name] = {name: label for name, label in pairs if label is not None}
    return found


def moved(before: Mapping[str, Mapping[str, str]], after: Mapping[str, Mapping[str, str]]) -> list[dict[str, Any]]:
    """How many weak labels became which, by axis, the most first; None: there was, or is, none."""
    rows = []
    for axis, now_ in after.items():
        was = before.get(axis, {})
        counts = Counter((was.get(name), now_.get(name)) for name in was.keys() | now_.keys())
        rows += [
            {"axis": axis, "from": old, "to": new, "n": n}
            for (old, new), n in sorted(counts.items(), key=lambda one: (-one[1], str(one[0])))
            if old != new
        ]
    return rows


def lines(said: Mapping[str, Any]) -> Iterator[str]:
    """What `relabel` did, for people; what `label` says comes after it."""
    origin = f"taxonomy {said['from']}"
    yield f"{origin} -> {said['to']}" + (f": {said['reason']}" if said["reason"] else "")
    yield f"carried over: {said['carried']:,} decisions" + (f", {said['known']:,} before" if said["known"] else "")
    if said["precedents"]:
        yield f"and {said['precedents']:,} precedents"
    if said["taken_back"]:
        yield f"carried before and no more: {said['taken_back']:,}"
    if said["not_carried"]:
        yield f"not carried over: {said['not_carried']:,} decisions; they stay as they are under {origin}"
    for name, n in said["queues"].items():
        yield f"to be decided anew: {n:,} samples (`curate review {name} --reviewer NAME`)"
    for version, n in said["others"].items():
        yield f"{n:,} decisions of taxonomy {version} are left as they are; a mapping from it carries them over"
    for one in said["moved"]:
        yield f"  {one['axis']}: {one['from'] or '-'} -> {one['to'] or '-'}: {one['n']:,} samples"
